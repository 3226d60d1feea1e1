"""Heads: quantum and classical, behind one interface, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.heads.registry import (
    HEADS,
    build_head,
    head_class,
    head_names,
    matching,
    quantum_heads,
)
from hybridqies.heads.settings import head_options
from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.heads.base import Description, Head, HeadContext, Term

__all__ = [
    "HEADS",
    "Description",
    "Head",
    "HeadContext",
    "Term",
    "build_head",
    "head_class",
    "head_names",
    "head_options",
    "matching",
    "quantum_heads",
]

# What is in `base` needs torch, which the names of heads do not.
__getattr__, __dir__ = import_lazily("hybridqies.heads", __all__, ["base"])
