from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Operator
from strategies import every_gate

from hybridqies.adapters import circuit_matrix
from hybridqies.adapters.circuit_matrix import CircuitMatrix, block_size
from hybridqies.adapters.gate_groups import group_gates
from hybridqies.adapters.gate_matrices import gate_matrices
from hybridqies.circuit import (
    GATES,
    Circuit,
    Constant,
    Feature,
    Start,
    Weight,
    add,
    gate,
    load_circuit,
    to_qiskit,
)
from hybridqies.circuit.angles import evaluate
from hybridqies.testing.dense import MATRICES

REAL = [("long-range-encoder", 4), ("long-range-reupload", 3), ("butterfly", 5)]
COMPLEX = [("brickwork", 3), ("strongly-entangling", 3), ("iqp", 3), ("product-encoder", 3)]


def drawn(circuit, seed=0):
    return torch.randn(circuit.n_weights, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", GATES.values(), ids=lambda kind: kind.name)
def test_matrix_of_every_gate_is_the_independent_one(kind):
    angles = torch.tensor([[0.3, -1.1, 2.7], [5.2, 0.4, -0.9]], dtype=torch.float64)[:, : len(kind.angles)]
    expected = torch.stack([MATRICES[kind.name](*row.unbind()) for row in angles])
    found = gate_matrices(kind, angles, torch.complex128)
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)
    if kind.is_real:
        torch.testing.assert_close(
            gate_matrices(kind, angles, torch.float64), expected.real, atol=1e-14, rtol=0
        )


@pytest.mark.parametrize(("name", "n"), REAL)
def test_a_real_circuit_is_the_operator_of_qiskit(name, n):
    circuit = replace(load_circuit(name, n), start=Start.ZERO)
    weights = drawn(circuit)
    expected = operator(circuit, weights) @ operator(circuit, torch.zeros_like(weights)).T
    np.testing.assert_allclose(CircuitMatrix(circuit).transposed(weights).T, expected, atol=1e-13)


def operator(circuit, weights):
    """The unitary in our order of qubits, from Qiskit."""
    built = to_qiskit(circuit)
    values = {
        each: float(weights[each.index]) if each.vector.name == "w" else 0.0 for each in built.parameters
    }
    return Operator(built.assign_parameters(values)).reverse_qargs().data


@pytest.mark.parametrize(
    "circuit", [every_gate(3), *(load_circuit(name, n) for name, n in COMPLEX)], ids=lambda each: each.name
)
def test_a_complex_circuit_acts_on_real_and_imaginary_parts(circuit):
    weights = drawn(circuit)
    whole = dense(circuit, weights) @ dense(circuit, torch.zeros_like(weights)).conj().T
    amplitudes = np.random.default_rng(0).normal(size=(2, 5, 2**circuit.n_qubits))
    expected = (amplitudes[0] + 1j * amplitudes[1]) @ whole.T
    matrix = CircuitMatrix(circuit)
    found = matrix.apply(torch.tensor(np.concatenate([*amplitudes], axis=1)), weights)
    np.testing.assert_allclose(found, np.concatenate([expected.real, expected.imag], axis=1), atol=1e-13)
    assert matrix.size == block_size(circuit) == 2 ** (circuit.n_qubits + 1)


def dense(circuit, weights):
    """The unitary by numpy, from the matrices that the contract tests of backends use."""
    n = circuit.n_qubits
    state = np.eye(2**n, dtype=complex).reshape((2,) * n + (-1,))
    for each in circuit.gates:
        angles = [evaluate(angle, lambda _: 0.0, weights.__getitem__) for angle in each.angles]
        small = MATRICES[each.type.name](*(torch.as_tensor(angle, dtype=torch.float64) for angle in angles))
        k = len(each.qubits)
        four = small.numpy().reshape((2,) * (2 * k))
        state = np.moveaxis(np.tensordot(four, state, (range(k, 2 * k), each.qubits)), range(k), each.qubits)
    return state.reshape(2**n, -1)


@pytest.mark.parametrize(("name", "n"), [*REAL, *COMPLEX])
def test_maps_are_orthogonal_and_start_at_one(name, n):
    circuit = load_circuit(name, n)
    matrix = CircuitMatrix(circuit)
    eye = torch.eye(matrix.size, dtype=torch.float64)
    transposed = matrix.transposed(drawn(circuit))
    torch.testing.assert_close(transposed @ transposed.T, eye, atol=1e-13, rtol=0)
    assert (transposed - eye).abs().max() > 0.1
    torch.testing.assert_close(matrix.transposed(0 * drawn(circuit)), eye, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", ["long-range-encoder", "brickwork"])
def test_starts_that_are_kept_and_those_that_are_not_give_the_same(name, monkeypatch):
    circuit = load_circuit(name, 3)
    kept = CircuitMatrix(circuit).transposed(drawn(circuit))
    monkeypatch.setattr(circuit_matrix, "_MOST_KEPT", 4)
    torch.testing.assert_close(CircuitMatrix(circuit).transposed(drawn(circuit)), kept, atol=1e-13, rtol=0)


@pytest.mark.parametrize("name", ["long-range-encoder", "brickwork"])
def test_few_and_many_rows_give_the_same(name):
    circuit = load_circuit(name, 3)
    matrix, weights = CircuitMatrix(circuit), drawn(circuit)
    rows = torch.randn(3 * matrix.size, matrix.size, dtype=torch.float64)
    torch.testing.assert_close(
        matrix.apply(rows, weights)[:2], matrix.apply(rows[:2], weights), atol=1e-13, rtol=0
    )


@pytest.mark.parametrize("circuit", [every_gate(2), load_circuit("butterfly", 2)], ids=lambda each: each.name)
def test_gradients_are_finite_differences(circuit):
    matrix = CircuitMatrix(circuit)
    rows = torch.randn(2, matrix.size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(matrix.apply, (rows, drawn(circuit).requires_grad_()))


def test_angles_may_be_sums_share_weights_and_have_features_which_are_0():
    angle = add(Weight(0, 2.0), Weight(1), Feature((0,)), Constant(0.3))
    circuit = Circuit.of(1, [gate("RY", 0, angle), gate("RY", 0, Weight(1))])
    plain = Circuit.of(1, [gate("RY", 0, Weight(0))])
    found = CircuitMatrix(circuit).transposed(torch.tensor([0.4, 0.5], dtype=torch.float64))
    expected = CircuitMatrix(plain).transposed(torch.tensor([2 * 0.4 + 2 * 0.5], dtype=torch.float64))
    torch.testing.assert_close(found, expected)


def test_gates_are_joined_where_their_qubits_allow_it():
    gates = [
        gate("RY", 0, Weight(0)),
        gate("RZ", 0, Weight(1)),
        gate("CNOT", (0, 1)),
        gate("RY", 1, Weight(2)),
        gate("CNOT", (0, 1)),
        gate("CNOT", (1, 0)),
        gate("RY", 2, Weight(3)),
    ]
    assert [(each.qubits, each.members) for each in group_gates(gates)] == [
        ((0, 1), [(0, 0), (1, 0), (2, None), (3, 1), (4, None)]),
        ((1, 0), [(5, None)]),
        ((2,), [(6, None)]),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_joined_gates_are_the_same_unitary(seed):
    generator = np.random.default_rng(seed)
    gates = []
    for at in range(30):
        if generator.random() < 0.5:
            gates.append(gate("ROT", int(generator.integers(3)), *(Weight(3 * at + i) for i in range(3))))
        else:
            gates.append(gate("CRX", generator.permutation(3)[:2].tolist(), Weight(3 * at)))
    circuit = Circuit.of(3, gates)
    weights = drawn(circuit)
    expected = dense(circuit, weights) @ dense(circuit, torch.zeros_like(weights)).conj().T
    found = CircuitMatrix(circuit).transposed(weights).T.numpy()
    np.testing.assert_allclose(found[:8, :8] + 1j * found[8:, :8], expected, atol=1e-13)
