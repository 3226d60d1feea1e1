"""Weights as circuits around an MPO: errors that never rise, counts, controls, and circuits to run."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Operator

from hybridqies.backends import QuantumLayer, load_backend
from hybridqies.circuit import Circuit, Start, from_openqasm3, to_openqasm3, to_qiskit
from hybridqies.errors import InputError
from hybridqies.tensornet import MPO, Brickwork, disentangle, improve, improve_gates


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_circuit(n_qubits: int, depth: int, seed: int = 0) -> Brickwork:
    """With gates of determinant 1 and -1 in turn."""
    empty = Brickwork.identity(n_qubits, depth)
    gates = torch.linalg.qr(draw(len(empty.bonds), 4, 4, seed=seed))[0]
    wanted = (-1.0) ** (torch.arange(len(gates)) + seed)
    gates[:, :, 0] *= (torch.linalg.det(gates).sign() * wanted)[:, None]
    return Brickwork(n_qubits, empty.bonds, gates)


def low_rank() -> torch.Tensor:
    return draw(16, 2) @ draw(2, 16, seed=1)


RUNS = {
    "square": (draw(16, 16), 2, 2),
    "wide, padded": (draw(6, 28), 2, 3),
    "tall, padded": (draw(24, 7), 3, 2),
    "one gate": (draw(4, 4), 1, 1),
    "one row": (draw(1, 8), 1, 2),
    "low rank": (low_rank(), 2, 4),
    "exact": (draw(8, 8), None, 2),
    "single precision": (draw(8, 16).float(), 2, 2),
    "depth 0": (draw(12, 16), 2, 0),
}


@pytest.mark.parametrize(("matrix", "chi", "depth"), RUNS.values(), ids=RUNS)
def test_no_error_is_larger_than_the_one_before(matrix, chi, depth) -> None:
    found = disentangle(matrix, chi, depth, sweeps=15)
    assert all(after < before for before, after in pairwise(found.errors))
    exact = matrix.double()
    lost = float((exact - found.to_matrix()).square().sum() / exact.square().sum())
    assert found.kept_energy == pytest.approx(1 - lost, abs=1e-13)
    assert found.errors[-1] ** 2 == pytest.approx(lost + found.leaked_energy, abs=1e-13)
    padded = any(size & (size - 1) for size in matrix.shape)
    assert found.leaked_energy > 1e-6 if padded else found.leaked_energy == 0


@pytest.mark.parametrize("shape", [(16, 8), (5, 11)])
def test_the_start_is_the_matrix_and_its_gates_are_identities(shape) -> None:
    found = disentangle(draw(*shape), None, depth=3, sweeps=0)
    assert torch.allclose(found.to_matrix(), draw(*shape), rtol=0, atol=1e-12)
    for circuit in (found.left, found.right):
        assert torch.equal(circuit.dense(), torch.eye(2**circuit.n_qubits, dtype=torch.float64))


def test_depth_0_is_alternating_least_squares_alone() -> None:
    found, matrix = disentangle(draw(8, 8), 2, depth=0, sweeps=3), draw(8, 8)
    alone = improve(MPO.from_matrix(matrix, [2] * 3, [2] * 3, 2), matrix, sweeps=3)
    assert found.n_gates == 0
    assert torch.allclose(found.to_matrix(), alone.to_matrix(), rtol=0, atol=1e-12)


def test_gates_keep_energy_that_the_mpo_alone_does_not() -> None:
    kept = [disentangle(draw(16, 16), 2, depth, sweeps=10).kept_energy for depth in (0, 2, 4)]
    assert kept[0] + 0.05 < kept[1] < kept[2] - 0.05


def test_gates_stay_orthogonal() -> None:
    found = disentangle(draw(16, 16), 2, depth=4, sweeps=15)
    for circuit in (found.left, found.right):
        products = circuit.gates @ circuit.gates.mT
        assert torch.allclose(products, torch.eye(4, dtype=torch.float64).expand_as(products), atol=1e-13)


def test_turned_gates_are_orthogonal_and_reach_every_direction() -> None:
    start = Brickwork(3, (0, 1), torch.linalg.qr(draw(8, 4).reshape(2, 4, 4)).Q)
    angles = torch.zeros(2, 6, dtype=torch.float64)
    assert torch.equal(start.turned(angles).gates, start.gates)
    turned = start.turned(angles + torch.arange(6.0, dtype=torch.float64)).gates
    assert torch.dist(turned @ turned.mT, torch.eye(4, dtype=torch.float64).expand(2, 4, 4)) < 1e-13
    # Six directions each, which is the dimension of SO(4); another gate is not moved.
    slopes = torch.func.jacrev(lambda each: start.turned(each).gates)(angles)
    assert torch.linalg.matrix_rank(slopes.reshape(32, 12)) == 12
    assert not slopes[0, :, :, 1].any()
    assert torch.autograd.gradcheck(lambda each: start.turned(each).gates, (angles.requires_grad_(),))


@pytest.mark.parametrize(("depth", "gates"), [(0, 0), (1, 9), (2, 16), (4, 32)])
def test_a_matrix_of_192_by_576_has_the_published_numbers_of_gates(depth, gates) -> None:
    found = disentangle(draw(192, 576), 1, depth, sweeps=0)
    assert found.n_gates == gates
    assert found.count_parameters() == 36 + 6 * gates
    assert found.count_parameters(price=0.5) == 36 + 3 * gates


@pytest.mark.parametrize(
    ("chi", "count"), [(1, 36), (2, 132), (5, 696), (10, 2356), (50, 36_948), (None, 401_956)]
)
def test_a_matrix_of_192_by_576_has_the_published_numbers_of_parameters(chi, count) -> None:
    assert disentangle(draw(192, 576), chi, depth=0, sweeps=0).count_parameters() == count


def test_a_bond_joins_neighbours_in_layers_of_bricks() -> None:
    assert Brickwork.identity(5, 3).bonds == (0, 2, 1, 3, 0, 2)
    assert Brickwork.identity(1, 3).bonds == ()
    assert Brickwork.identity(3, 1).n_angles == 6


def test_undoing_a_circuit_is_its_transpose() -> None:
    circuit, columns = random_circuit(4, 3), draw(16, 5)
    dense = circuit.dense()
    assert torch.allclose(circuit.apply(columns), dense @ columns, atol=1e-13)
    assert torch.allclose(circuit.undo(columns), dense.T @ columns, atol=1e-13)


@pytest.mark.parametrize("seed", range(4))
def test_one_gate_is_found_exactly(seed) -> None:
    planted, columns = random_circuit(2, 1, seed), draw(4, 9, seed=seed)
    found = improve_gates(Brickwork.identity(2, 1), planted.apply(columns), columns)
    assert torch.allclose(found.gates, planted.gates, atol=1e-12)


def test_a_sweep_over_gates_lets_the_overlap_only_grow() -> None:
    circuit, target, source = Brickwork.identity(4, 4), draw(16, 16), draw(16, 16, seed=1)
    overlaps = [float((target * source).sum())]
    for _ in range(5):
        circuit = improve_gates(circuit, target, source)
        overlaps.append(float((target * circuit.apply(source)).sum()))
    assert all(after > before for before, after in pairwise(overlaps))


def unitary_of(circuit: Circuit) -> np.ndarray:
    """As Qiskit has it, with qubit 0 as the most significant bit."""
    start_zero = Circuit.of(circuit.n_qubits, circuit.gates, circuit.observables)
    program = to_qiskit(start_zero)
    program.remove_final_measurements()
    return np.asarray(Operator(program.reverse_bits()).data)


@pytest.mark.parametrize(("n_qubits", "depth"), [(2, 1), (4, 3), (5, 4)])
def test_an_exported_circuit_is_the_dense_matrix(n_qubits, depth) -> None:
    brickwork = random_circuit(n_qubits, depth)
    dense = brickwork.dense().numpy()
    np.testing.assert_allclose(unitary_of(brickwork.circuit()), dense, atol=1e-12)
    program = to_openqasm3(brickwork.circuit())
    np.testing.assert_allclose(unitary_of(from_openqasm3(program)), dense, atol=1e-12)


@pytest.mark.parametrize("backend", ["statevector", "aer", "pennylane"])
def test_backends_run_an_exported_circuit(backend) -> None:
    brickwork = random_circuit(3, 2)
    amplitudes = torch.nn.functional.normalize(draw(8, 8), dim=1)
    after = brickwork.apply(amplitudes.T).T.square()
    signs = [1 - 2 * (torch.arange(8) >> (2 - qubit) & 1) for qubit in range(3)]
    expected = torch.stack([(after * sign).sum(dim=1) for sign in signs], dim=1)
    circuit = brickwork.circuit(start=Start.AMPLITUDES)
    layer = QuantumLayer(circuit, load_backend(backend)).double()
    assert torch.allclose(layer(amplitudes).double(), expected, atol=1e-12)


def test_the_exported_circuits_and_the_mpo_are_the_approximation() -> None:
    found = disentangle(draw(8, 8), 2, depth=2, sweeps=5)
    left, right = unitary_of(found.left.circuit("U")), unitary_of(found.right.circuit("V"))
    whole = left @ found.mpo.to_matrix().numpy() @ right.T
    np.testing.assert_allclose(whole, found.to_matrix().numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "arguments", "why"),
    [
        (torch.zeros(4, 4), {}, "cannot be disentangled"),
        (torch.full((4, 4), math.nan), {}, "cannot be disentangled"),
        (draw(4), {}, "cannot be disentangled"),
        (draw(4, 4).to(torch.complex128), {}, "cannot be disentangled"),
        (draw(4, 4), {"chi": 0}, "chi was given as 0"),
        (draw(4, 4), {"depth": -1}, "depth -1"),
        (draw(4, 4), {"sweeps": -1}, "-1 sweeps"),
    ],
)
def test_bad_input_is_refused(matrix, arguments, why) -> None:
    with pytest.raises(InputError, match=why) as caught:
        disentangle(matrix, **{"chi": 2, "depth": 1, **arguments})
    assert "\n" not in str(caught.value)
