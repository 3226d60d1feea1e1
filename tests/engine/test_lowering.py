from __future__ import annotations

import itertools

import numpy as np
import pennylane as qml
import pytest
from dense import FEATURES, WEIGHTS, of_frame, of_step
from hypothesis import given, settings
from qiskit.quantum_info import Operator
from strategies import CONSTANTS, circuits

from hybridqies.circuit import (
    GATES,
    Circuit,
    Constant,
    Gate,
    PauliString,
    Start,
    Weight,
    feature,
    gate,
    to_pennylane,
    to_qiskit,
)
from hybridqies.circuit.gate_type import Relabelling
from hybridqies.engine import Rules, compile_plan
from hybridqies.engine.basis_map import BasisMap
from hybridqies.engine.lowering import Turn, lower

NOT_A_STEP = ("X", "CNOT", "SWAP")


def as_matrix(circuit: Circuit) -> np.ndarray:
    """What the lowered circuit does to basis states."""
    steps, frame = lower(circuit)
    result = np.eye(2**circuit.n_qubits, dtype=complex)
    for step in steps:
        result = of_step(step, circuit.n_qubits) @ result
    return of_frame(frame) @ result


def by_pennylane(circuit: Circuit) -> np.ndarray:
    wires = range(circuit.n_qubits)
    tape = qml.tape.make_qscript(to_pennylane(circuit))(np.array(FEATURES), np.array(WEIGHTS))
    # An identity on every wire keeps those that no gate touches.
    operations = [*map(qml.Identity, wires), *tape.operations]
    return qml.matrix(qml.tape.QuantumScript(operations), wire_order=wires)


def by_qiskit(circuit: Circuit) -> np.ndarray:
    built = to_qiskit(circuit)
    values = {
        each: (FEATURES if each.vector.name == "x" else WEIGHTS)[each.index] for each in built.parameters
    }
    return Operator(built.assign_parameters(values)).reverse_qargs().data


def assert_equal_up_to_a_phase(ours: np.ndarray, theirs: np.ndarray) -> None:
    overlap = np.vdot(theirs, ours) / len(ours)
    assert abs(abs(overlap) - 1) < 1e-12
    np.testing.assert_allclose(ours, overlap * theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", GATES)
def test_each_gate_is_the_matrix_of_pennylane_and_qiskit(name):
    kind = GATES[name]
    for qubits in itertools.permutations(range(3), kind.n_qubits):
        for start in (0, 1, 2):
            kinds = (Weight(4, -1.5), feature(0, 1, scale=0.5), Constant(0.9))
            angles = tuple(kinds[(start + i) % 3] for i in range(len(kind.angles)))
            circuit = Circuit.of(3, [Gate(kind, qubits, angles)])
            ours = as_matrix(circuit)
            assert_equal_up_to_a_phase(ours, by_pennylane(circuit))
            assert_equal_up_to_a_phase(ours, by_qiskit(circuit))


@pytest.mark.parametrize("name", [name for name, kind in GATES.items() if kind.angles])
@pytest.mark.parametrize("value", CONSTANTS)
def test_a_constant_angle_is_a_fixed_matrix(name, value):
    kind = GATES[name]
    circuit = Circuit.of(2, [Gate(kind, (1, 0)[: kind.n_qubits], (Constant(value),) * len(kind.angles))])
    assert not any(isinstance(f, Turn) for step in lower(circuit)[0] for f in step.factors)
    assert_equal_up_to_a_phase(as_matrix(circuit), by_qiskit(circuit))


@settings(max_examples=60, deadline=None)
@given(circuits(4, max_gates=20, starts=(Start.ZERO,)))
def test_random_circuits_are_the_matrix_of_qiskit(circuit):
    assert_equal_up_to_a_phase(as_matrix(circuit), by_qiskit(circuit))


@settings(max_examples=40, deadline=None)
@given(
    circuits(
        4,
        max_gates=30,
        starts=(Start.ZERO,),
        kinds=[GATES[name] for name in ("X", "CNOT", "SWAP", "CNOT", "SWAP", "CRY", "RX", "RYY", "U")],
    )
)
def test_circuits_that_mostly_relabel_are_the_matrix_of_qiskit(circuit):
    assert_equal_up_to_a_phase(as_matrix(circuit), by_qiskit(circuit))


@settings(max_examples=60, deadline=None)
@given(circuits(5, max_gates=30, kinds=[GATES[name] for name in NOT_A_STEP]))
def test_labels_cost_no_step_and_stay_a_dual_basis(circuit):
    steps, frame = lower(circuit)
    assert steps == []
    for (s, mask), (t, flip) in itertools.product(enumerate(frame.masks), enumerate(frame.flips)):
        assert (mask & flip).bit_count() % 2 == (s == t)
    assert compile_plan(circuit, rules=Rules(False, False, False, False)).steps == ()


def test_a_frame_takes_relabelling_gates_alone():
    with pytest.raises(ValueError, match="relabelling"):
        BasisMap(2).relabel(Relabelling.SWAP, (0,))


@pytest.mark.parametrize("name", [name for name in GATES if name not in NOT_A_STEP])
def test_each_gate_is_one_step_with_angles(name):
    kind = GATES[name]
    angles = tuple(Weight(i) for i in range(len(kind.angles)))
    steps, _ = lower(Circuit.of(3, [Gate(kind, (2, 0)[: kind.n_qubits], angles)]))
    turns = [step for step in steps if any(isinstance(factor, Turn) for factor in step.factors)]
    assert len(turns) == bool(kind.angles)
    assert sum(len(step.factors) for step in turns) == len(angles)
    assert len(steps) == (5 if name == "RYY" else 1)


@pytest.mark.parametrize("name", ["RXX", "RYY", "RZZ"])
def test_a_chain_of_two_qubit_rotations_is_one_step_each(name):
    n_qubits = 5
    chain = [gate(name, (q, q + 1), Weight(q)) for q in range(n_qubits - 1)]
    around = [gate("ROT", q, *(Weight(4 + 3 * q + i) for i in range(3))) for q in range(n_qubits)]
    everything = [PauliString.on(letter, qubit) for letter in "XYZ" for qubit in range(n_qubits)]
    plan = compile_plan(Circuit.of(n_qubits, [*around, *chain, *around], everything))
    turns = [step for step in plan.steps if any(isinstance(f, Turn) for f in step.factors)]
    assert len(turns) == 2 * n_qubits + n_qubits - 1
    if name != "RYY":
        assert len(plan.steps) == len(turns)


@settings(max_examples=40, deadline=None)
@given(circuits(3, max_gates=6, starts=(Start.ZERO,)))
def test_steps_that_are_called_real_or_diagonal_are(circuit):
    for step in lower(circuit)[0]:
        matrix = of_step(step, circuit.n_qubits)
        if step.is_real:
            assert not matrix.imag.any()
        if step.is_diagonal:
            assert not (matrix - np.diag(np.diag(matrix))).any()
