"""Adapters: what is trained beside the frozen weights of any torch model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.adapters.factors import count_parameters, propose_axes

__all__ = ["count_parameters", "propose_axes"]

__getattr__, __dir__ = import_lazily("hybridqies.adapters", __all__, ["factors"])
