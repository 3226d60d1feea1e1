"""The command line: one small file a command; each parses, calls, and prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and exits; an interrupt while it is being imported is one line as well."""
    try:
        from hybridqies.cli import app
    except KeyboardInterrupt:
        sys.stderr.write("hybridqies: interrupted\n")
        sys.exit(130)
    app.main(arguments)
