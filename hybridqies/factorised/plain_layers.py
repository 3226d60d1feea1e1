"""Layers that can be compressed: `nn.Linear`, and `Conv1D` of transformers, whose weight is transposed."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

Kind = Literal["linear", "conv1d"]


def kind_of(layer: nn.Module) -> Kind | None:
    """Which of them a module is; None for any other, subclasses included."""
    if type(layer) is nn.Linear:
        return "linear"
    return "conv1d" if type(layer) is _conv1d() else None


def weight_of(layer: nn.Module) -> Tensor:
    """The weight as it multiplies a column, (out, in)."""
    weight: Any = layer.weight
    found: Tensor = weight.mT if kind_of(layer) == "conv1d" else weight
    return found


def make_layer(kind: Kind, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A layer of that kind from a weight (out, in) and a bias; a `Conv1D` has one of zeros without."""
    rows, columns = weight.shape
    if kind == "conv1d":
        made: Any = _conv1d()(rows, columns).to(weight)
    else:
        made = nn.Linear(columns, rows, bias is not None, weight.device, weight.dtype)
    with torch.no_grad():
        made.weight.copy_(weight.mT if kind == "conv1d" else weight)
        if bias is not None:
            made.bias.copy_(bias)
    found: nn.Module = made
    return found


def _conv1d() -> type[nn.Module]:
    from transformers.pytorch_utils import Conv1D

    found: type[nn.Module] = Conv1D
    return found
