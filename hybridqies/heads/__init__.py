"""Heads: quantum and classical, behind one interface, in one table."""

from hybridqies.heads.registry import HEADS, QUANTUM_HEADS, build_head, head_class
from hybridqies.heads.settings import head_options

__all__ = ["HEADS", "QUANTUM_HEADS", "build_head", "head_class", "head_options"]
