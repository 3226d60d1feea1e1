"""The dressed circuit: linear → circuit → linear."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from hybridqies.backends import QuantumLayer
from hybridqies.circuit import Circuit, load_circuit
from hybridqies.errors import InputError
from hybridqies.heads.base import Description, Head, HeadContext
from hybridqies.heads.readout import circuit_term, linear, linear_term
from hybridqies.options import within
from hybridqies.roles import Role


@dataclass(frozen=True, slots=True)
class DressedConfig:
    """The circuit between the two linear layers; its options as its recipe has them."""

    n_qubits: int = 9
    circuit: str = "long-range-reupload"
    circuit_options: Mapping[str, Any] = field(default_factory=dict)
    spread: float = math.pi

    def __post_init__(self) -> None:
        within(self, "head option", spread=(0, 1e6))


class DressedHead(Head):
    """Embedding → linear → tanh · π/2 → circuit → linear → logits.

    Mari, Bromley, Izaac, Schuld, Killoran, "Transfer learning in hybrid
    classical-quantum neural networks", Quantum 4, 340 (2020), arXiv:1912.08434, Eq. 9.
    """

    name: ClassVar[str] = "dressed"
    Config: ClassVar[type] = DressedConfig
    runs_circuit: ClassVar[bool] = True
    recipes: ClassVar[Mapping[str, str]] = {"circuit": "circuit"}
    roles: ClassVar[Mapping[str, Role]] = {"readout": Role.READOUT}

    def __init__(self, config: DressedConfig, context: HeadContext) -> None:
        super().__init__(config, context)
        draw = context.generator
        circuit = context.circuit(
            "circuit", lambda: load_circuit(config.circuit, config.n_qubits, **config.circuit_options)
        )
        if circuit.n_amplitudes or not circuit.n_features:
            raise InputError(
                f"circuit {circuit.name!r} was given to a dressed head", expected="one with angle features"
            )
        self.squeeze = linear(context.n_inputs, circuit.n_features, draw)
        self.circuit = QuantumLayer(circuit, context.backend, spread=config.spread, generator=draw)
        self.readout = linear(len(circuit.observables), context.n_classes, draw)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D)."""
        logits: Tensor = self.readout(self.circuit(torch.tanh(self.squeeze(embeddings)) * (math.pi / 2)))
        return logits

    def circuits(self) -> dict[str, Circuit]:
        """The one circuit, as "circuit"."""
        return {"circuit": self.circuit.circuit}

    def describe(self) -> Description:
        """Counts of the two linear layers and the circuit."""
        return Description(
            self.name,
            (
                linear_term("squeeze", self.squeeze),
                circuit_term(
                    "circuit", self.circuit.circuit, self.config.circuit, self.config.circuit_options
                ),
                linear_term("readout", self.readout),
            ),
        )
