"""Heads: quantum and classical, behind one interface, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridqies.heads.registry import (
    DEFAULT_HEAD,
    HEADS,
    build_head,
    head_class,
    head_names,
    matching,
    quantum_heads,
)
from hybridqies.heads.settings import head_options

if TYPE_CHECKING:
    from hybridqies.heads.base import Description, Head, HeadContext, Term

__all__ = [
    "DEFAULT_HEAD",
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


def __getattr__(name: str) -> Any:
    # They need torch, which the names of heads do not.
    if name not in ("Description", "Head", "HeadContext", "Term"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hybridqies.heads import base

    return getattr(base, name)
