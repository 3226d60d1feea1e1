"""Depth and gate counts of a circuit on its target, and the work of its exact values."""

from __future__ import annotations

from dataclasses import dataclass

from hybridqies.circuit import Circuit, Start
from hybridqies.errors import CapabilityError


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


@dataclass(frozen=True, slots=True)
class ExactCost:
    """How the native simulator computes exact expectations, and the counted work of one sample.

    It runs `states` states of at most `n_qubits`: one state of the whole circuit, or its light cones.
    `operations` are those of a forward and a backward pass, in floating-point operations,
    and `whole` those of the whole state that light cones replace, None where it has too many qubits.
    """

    by_cones: bool
    states: int
    n_qubits: int
    operations: int
    whole: int | None = None

    def __str__(self) -> str:
        """In words: what is run, and for light cones what they save."""
        if not self.by_cones:
            return f"the whole state of {self.n_qubits} qubits"
        cones = f"{self.states} light cones of up to {self.n_qubits} qubits"
        if self.whole is None:
            return f"{cones}, as the whole state has too many qubits"
        return f"{cones}, in place of {self.whole:,} operations for the whole state"


def count_cone_qubits(circuit: Circuit) -> list[int] | None:
    """The qubits of each light cone; None where the circuit has none, or they take too long to find."""
    from hybridqies.engine import find_cones

    if circuit.start is not Start.ZERO:
        return None
    try:
        return [cone.n_qubits for cone in find_cones(circuit)]
    except CapabilityError:
        return None
