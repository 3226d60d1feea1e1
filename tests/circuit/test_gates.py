"""The gate table: each row against the dense reference, and a row that is added shows up everywhere."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pennylane as qml
import pytest
import torch
from qiskit.quantum_info import Operator

from hybridqies.backends import load_backend
from hybridqies.circuit import (
    GATES,
    Circuit,
    PauliString,
    Weight,
    draw_picture,
    draw_text,
    feature,
    from_openqasm3,
    from_qiskit,
    gate,
    gate_type,
    to_openqasm3,
    to_pennylane,
    to_qiskit,
)
from hybridqies.circuit import matrices as m
from hybridqies.circuit.gate_type import Apply, Foreign, GateType, Rotation, X, Z
from hybridqies.engine.lowering import lower
from hybridqies.errors import UnknownNameError
from hybridqies.testing import dense
from hybridqies.testing.cases import case_of

ANGLES = (0.7, -1.9, 2.6)

# Half the angle on the control, and the whole about Z on the target under it.
CP = GateType(
    "CP",
    2,
    ("phi",),
    matrix=m.controlled(m.phase),
    lowering=(Apply(1, (Rotation(Z, 0),), control=0), Apply(0, (Rotation(Z, 0, scale=0.5),))),
    qiskit=Foreign("cp"),
    pennylane=Foreign("ControlledPhaseShift"),
    qasm=Foreign("cp"),
    symbol="P",
    controlled=True,
    phase=lambda phi: phi / 4,
)
# Angles in another order than Qiskit's, and a definition that stdgates.inc lacks.
FLIPPED = GateType(
    "FLIPPED",
    1,
    ("lambda", "theta", "phi"),
    matrix=lambda lamda, theta, phi: m.u(theta, phi, lamda),
    lowering=(Apply(0, (Rotation(Z, 0), m.SX, Rotation(Z, 1), m.SXDG, Rotation(Z, 2))),),
    qiskit=Foreign("u", (1, 2, 0), label="flipped"),
    pennylane=Foreign("U3", (1, 2, 0)),
    qasm=Foreign("U", (1, 2, 0)),
    symbol="F",
    phase=lambda lamda, _theta, phi: (lamda + phi) / 2,
)


def numbers(row: GateType) -> np.ndarray:
    return np.array(row.matrix(*ANGLES[: len(row.angles)]), dtype=complex)


@pytest.mark.parametrize("name", GATES)
def test_each_row_has_the_matrix_of_the_dense_reference(name):
    row = GATES[name]
    angles = [torch.tensor(angle, dtype=torch.float64) for angle in ANGLES[: len(row.angles)]]
    np.testing.assert_allclose(numbers(row), dense.MATRICES[name](*angles), rtol=0, atol=1e-15)


def test_the_dense_reference_has_a_row_for_each_gate_and_no_other():
    assert set(dense.MATRICES) == set(GATES)


@pytest.mark.parametrize("row", [*GATES.values(), CP, FLIPPED], ids=lambda row: row.name)
def test_the_lowering_lacks_no_more_than_its_phase(row):
    from dense import of_frame, of_step

    qubits = tuple(range(row.n_qubits))
    angles = ANGLES[: len(row.angles)]
    circuit = Circuit.of(row.n_qubits, [_placed(row, qubits, *angles)])
    steps, frame = lower(circuit)
    whole = np.eye(2**row.n_qubits, dtype=complex)
    for step in steps:
        whole = of_step(step, row.n_qubits) @ whole
    phase = 0.0 if row.phase is None else row.phase(*angles)
    np.testing.assert_allclose(np.exp(1j * phase) * of_frame(frame) @ whole, numbers(row), rtol=0, atol=1e-14)


def _placed(row, qubits, *angles):
    from hybridqies.circuit import Constant, Gate

    return Gate(row, qubits, tuple(map(Constant, angles)))


@pytest.mark.parametrize("row", GATES.values(), ids=GATES)
def test_what_a_row_says_of_its_matrix_is_so(row):
    matrix = numbers(row)
    assert row.is_real == (not matrix.imag.any())
    assert len(matrix) == 2**row.n_qubits
    is_controlled = row.n_qubits == 2 and np.array_equal(matrix[:2], np.eye(4)[:2])
    assert row.controlled == is_controlled
    if row.inverse is not None:
        np.testing.assert_allclose(numbers(GATES[row.inverse]) @ matrix, np.eye(len(matrix)), atol=1e-15)
    assert (row.inverse is None) == bool(row.angles)


@pytest.mark.parametrize("name", [name for name, row in GATES.items() if row.definition])
def test_a_definition_does_what_the_gate_does(name):
    row = GATES[name]
    from hybridqies.circuit.gate_type import Own

    angles = ANGLES[: len(row.angles)]
    qubits = tuple(range(row.n_qubits))
    parts = [
        gate(p.name, p.places, *(angles[a.index] if isinstance(a, Own) else a for a in p.angles))
        for p in row.definition
    ]
    whole = Operator(to_qiskit(Circuit.of(row.n_qubits, parts)))
    assert whole.equiv(Operator(to_qiskit(Circuit.of(row.n_qubits, [gate(name, qubits, *angles)]))))


@pytest.mark.parametrize("name", GATES)
def test_copies_are_the_row_itself(name):
    row = GATES[name]
    assert copy.deepcopy(row) is pickle.loads(pickle.dumps(row)) is copy.copy(row) is row


@pytest.mark.parametrize("name", ["", "CNOTT", 3, None, ["RX"]])
def test_an_unknown_gate_is_refused_by_name(name):
    with pytest.raises(UnknownNameError, match="unknown gate"):
        gate_type(name)


@pytest.fixture(params=[CP, FLIPPED], ids=["cp", "flipped"])
def added(request, monkeypatch) -> GateType:
    """A new row in the table, and nothing else but its row in the dense reference."""
    row = request.param
    monkeypatch.setitem(GATES, row.name, row)
    monkeypatch.setitem(
        dense.MATRICES,
        row.name,
        {
            "CP": lambda phi: torch.block_diag(
                torch.eye(2, dtype=torch.complex128), dense.MATRICES["P"](phi)
            ),
            "FLIPPED": lambda lamda, theta, phi: dense.MATRICES["U"](theta, phi, lamda),
        }[row.name],
    )
    return row


@pytest.fixture
def case(added):
    angles = (feature(0), Weight(0, 0.5), feature(0, 1, scale=-1.0))[: len(added.angles)]
    before = [gate("RY", 0, 0.7), gate("RX", 1, Weight(0)), gate("CNOT", (0, 1))]
    placed = gate(added.name, (1, 0)[: added.n_qubits], *angles)
    words = ("XI", "IX", "YI", "IY", "ZI", "IZ", "ZZ", "XY")
    return case_of(Circuit(2, (*before, placed), tuple(map(PauliString.parse, words)), 2, 1), seed=5)


@pytest.mark.parametrize("backend", ["statevector", "pennylane:default.qubit,gradient=shift"])
def test_an_added_gate_is_simulated_and_differentiated(case, backend):
    ours, theirs = case.leaves(), case.leaves()
    values = load_backend(backend).expectations(case.circuit, *ours.inputs)
    expected = dense.expectations(case.circuit, *theirs.inputs)
    np.testing.assert_allclose(values.detach(), expected.detach(), rtol=0, atol=1e-12)
    weights = torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (values @ weights).sum().backward()
    (expected @ weights).sum().backward()
    for our, their in ((ours.features, theirs.features), (ours.weights, theirs.weights)):
        np.testing.assert_allclose(our.grad, their.grad, rtol=0, atol=1e-11)


def test_an_added_gate_is_drawn(case, added, tmp_path):
    assert f"┤{added.symbol}(" in draw_text(case.circuit)
    draw_picture(case.circuit, tmp_path / "circuit.svg")
    assert (tmp_path / "circuit.svg").stat().st_size > 1000


def test_an_added_gate_goes_to_pennylane_and_means_the_same(case):
    node = qml.QNode(to_pennylane(case.circuit), qml.device("default.qubit"))
    expected = dense.expectations(case.circuit, *case.inputs)
    values = np.stack(node(case.features.numpy(), case.weights.numpy()), axis=1)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


def test_an_added_gate_goes_to_qiskit_and_back(case):
    built = to_qiskit(case.circuit)
    back = from_qiskit(built, observables=case.circuit.observables)
    assert back.gates == case.circuit.gates
    ours = Circuit.of(
        2, [_placed(each.type, each.qubits, *ANGLES[: len(each.angles)]) for each in back.gates]
    )
    whole = np.eye(4, dtype=complex)
    for each in ours.gates:
        small = numbers(each.type) if each.type.angles else np.array(each.type.matrix(), dtype=complex)
        whole = dense._placed(torch.from_numpy(small), each.qubits, 2).numpy() @ whole
    assert Operator(to_qiskit(ours)).reverse_qargs().equiv(Operator(whole))


def test_an_added_gate_is_written_as_openqasm_and_means_the_same(case, added):
    back = from_openqasm3(to_openqasm3(case.circuit))
    expected = dense.expectations(case.circuit, *case.inputs)
    values = dense.expectations(back, *case.inputs)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


def test_axes_are_those_of_the_paulis():
    assert (X, Z) == (0, 2)
    assert math.isclose(m.rotation(m.PAULI_Z)(0.4)[1][1].imag, math.sin(0.2))
