"""The command line: one small file a command; each parses, calls, and prints."""

from hybridqies.cli.app import main

__all__ = ["main"]
