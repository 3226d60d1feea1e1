"""Heads for tests, from flat settings as a user writes them."""

from __future__ import annotations

from typing import Any

import torch

from hybridqies.heads import build_head, head_options
from hybridqies.heads.base import Head, HeadContext


def built_head(name: str, n_inputs: int, n_classes: int = 2, seed: int = 0, **settings: Any) -> Head:
    """The head `name` drawn from `seed`; `circuit_options` and `encoder_options` go to the recipes."""
    for role in ("circuit", "encoder"):
        nested = settings.pop(f"{role}_options", {})
        settings |= {f"{role}.{key}": value for key, value in nested.items()}
    context = HeadContext(n_inputs, n_classes, generator=torch.Generator().manual_seed(seed))
    return build_head(name, head_options(name, settings), context)
