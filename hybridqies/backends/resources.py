"""Depth and gate counts of a circuit on its target."""

from __future__ import annotations

from dataclasses import dataclass

from hybridqies.circuit import Circuit


@dataclass(frozen=True, slots=True)
class Resources:
    """Depth, and gates on one and on two qubits; measurements are not counted."""

    depth: int
    gates_1q: int
    gates_2q: int

    @classmethod
    def of(cls, circuit: Circuit) -> Resources:
        """Those of the circuit as it is written."""
        on_two = circuit.two_qubit_gates()
        return cls(circuit.depth(), len(circuit.gates) - on_two, on_two)
