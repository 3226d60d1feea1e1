"""The work of a circuit: gates, operations and memory, from closed formulas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hybridqies.backends.resources import Resources
from hybridqies.circuit import Circuit
from hybridqies.circuit.gate_type import Apply

# Of a 2x2 matrix on one amplitude: two products and a sum, complex.
FLOPS_A_STEP = 14
# The bra goes through the inverse of each step, too, and the derivative is their overlap.
FLOPS_A_GRADIENT = 12
BYTES_AN_AMPLITUDE = 8


@dataclass(frozen=True, slots=True)
class Work:
    """What one evaluation of a circuit takes, as it is written.

    `flops`, bytes and `passes`, of one gate over one state, are those of a state-vector simulation in single
    precision. With gradients the derivatives of one number by all weights are counted as well: a backward
    pass over two states on a simulator, and two circuits for each weight (the shift rule) on a quantum
    processor. `circuits` says how many circuits that are.
    """

    n_qubits: int
    n_weights: int
    depth: int
    one_qubit_gates: int
    two_qubit_gates: int
    flops: int
    state_bytes: int
    memory_bytes: int
    passes: int
    circuits: int


def count_work(circuit: Circuit, *, gradients: bool = False) -> Work:
    """The work of a circuit; with `gradients`, of its derivatives too."""
    found = Resources.of(circuit)
    return Work(
        circuit.n_qubits,
        circuit.n_weights,
        found.depth,
        found.gates_1q,
        found.gates_2q,
        count_flops(circuit, gradients=gradients),
        BYTES_AN_AMPLITUDE << circuit.n_qubits,
        (1 + gradients) * BYTES_AN_AMPLITUDE << circuit.n_qubits,
        (1 + 2 * gradients) * len(circuit.gates),
        1 + 2 * circuit.n_weights * gradients,
    )


def count_flops(circuit: Circuit, *, gradients: bool = False) -> int:
    """Floating-point operations of a simulation that applies each gate to the whole complex state.

    A gate is 2x2 matrices and relabellings of amplitudes, which are free: a rotation is one matrix. For s
    matrices on n qubits, c of them controlled, it takes 14 (s - c/2) 2**n; with gradients also twice that for
    the backward pass, and 12 operations an amplitude for each overlap.
    """
    halves = sum(1 if step.control is not None else 2 for step in _steps(circuit))
    each = FLOPS_A_STEP + gradients * (2 * FLOPS_A_STEP + FLOPS_A_GRADIENT)
    return (halves * each << circuit.n_qubits) // 2


def _steps(circuit: Circuit) -> Iterator[Apply]:
    for gate in circuit.gates:
        for move in gate.type.lowering:
            if isinstance(move, Apply):
                yield move
