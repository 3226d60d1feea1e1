"""Circuits compiled by Qiskit for a target; each is compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.resources import Resources
from hybridqies.circuit import Circuit
from hybridqies.circuit.qiskit import to_qiskit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import CircuitInstruction
    from qiskit.transpiler import Target

_LEVEL = 3


class Transpiler:
    """Compiles measured circuits to the gates and couplings of `target`; the last ones are kept.

    It uses Qiskit's highest level of optimisation and a fixed seed: equal circuits compile equally.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._compiled = CircuitCache(self._compile, by_content=True)

    def __call__(self, circuit: Circuit) -> QuantumCircuit:
        """`circuit` compiled, its weights unbound; classical bit i is qubit i."""
        return self._compiled(circuit)

    def _compile(self, circuit: Circuit) -> QuantumCircuit:
        from qiskit.transpiler import generate_preset_pass_manager

        manager = generate_preset_pass_manager(_LEVEL, target=self._target, seed_transpiler=0)
        return manager.run(to_qiskit(circuit, measured=True))

    def resources(self, circuit: Circuit) -> Resources:
        """Depth and gates of `circuit` once compiled."""
        return count_resources(self(circuit))


def count_resources(circuit: QuantumCircuit) -> Resources:
    """Depth and gates of a compiled circuit; barriers and measurements are not counted."""
    sizes = [len(row.qubits) for row in circuit.data if _is_gate(row)]
    return Resources(circuit.depth(_is_gate), sizes.count(1), sizes.count(2))


def _is_gate(row: CircuitInstruction) -> bool:
    return row.operation.name not in ("barrier", "measure")


def used_qubits(circuit: QuantumCircuit) -> set[int]:
    """The qubits that a gate or a measurement acts on."""
    rows = (row for row in circuit.data if row.operation.name != "barrier")
    return {circuit.find_bit(qubit).index for row in rows for qubit in row.qubits}


def measured_qubits(circuit: QuantumCircuit) -> list[int]:
    """The qubit behind each classical bit, in their order."""
    rows = [row for row in circuit.data if row.operation.name == "measure"]
    where = {circuit.find_bit(row.clbits[0]).index: circuit.find_bit(row.qubits[0]).index for row in rows}
    return [where[bit] for bit in sorted(where)]
