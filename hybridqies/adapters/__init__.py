"""Adapters: what is trained beside the frozen weights of any torch model, as methods of peft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.adapters.circuit import CircuitConfig
    from hybridqies.adapters.factors import count_parameters, propose_axes
    from hybridqies.adapters.quanta import QuantaConfig
    from hybridqies.adapters.registration import register

__all__ = ["CircuitConfig", "QuantaConfig", "count_parameters", "propose_axes", "register"]

# The configurations need peft and torch, which counts do not.
__getattr__, __dir__ = import_lazily(
    "hybridqies.adapters", __all__, ["factors", "registration", "quanta", "circuit"]
)
