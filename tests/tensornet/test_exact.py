"""Exact contraction: values and gradients of trees, rings and graphs that are cut, without decompositions."""

from __future__ import annotations

import math

import pytest
import torch
from tensornet.circuits_on_graphs import RING, TREE, inputs, random_circuit
from torch.overrides import TorchFunctionMode

from hybridqies.backends import load_backend
from hybridqies.circuit import Circuit, PauliString, Weight, gate, load_circuit
from hybridqies.errors import CapabilityError
from hybridqies.tensornet import ExactNetwork
from hybridqies.tensornet.graphs import cut_loops, join, split_into_parts
from hybridqies.testing import dense

TRIANGLES = ((0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5))
ALL_OF_FOUR = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
GRAPHS = {
    "tree": (5, TREE, 0),
    "ring": (4, RING, 1),
    "two triangles": (6, TRIANGLES, 1),
    "three loops": (4, ALL_OF_FOUR, 3),
}
NONE = torch.zeros(1, 0, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", GRAPHS)
def test_values_and_gradients(name, seed):
    n_qubits, edges, cuts = GRAPHS[name]
    circuit = random_circuit(n_qubits, edges, 20, seed)
    given = [each.requires_grad_() for each in inputs(seed)]
    values, exact = ExactNetwork.of(circuit, cuts).run(*given), dense.expectations(circuit, *given)
    torch.testing.assert_close(values, exact, rtol=0, atol=1e-13)
    direction = torch.linspace(0.5, 1.5, values.numel(), dtype=torch.float64).reshape(values.shape)
    ours, theirs = (
        torch.autograd.grad((each * direction).sum(), given, materialize_grads=True)
        for each in (values, exact)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("entangler", ["CZ", "CNOT", "SWAP", "RZZ"])
def test_gradients_are_finite_at_equal_singular_values(entangler):
    angles = [math.pi / 2] if entangler == "RZZ" else []
    gates = [gate("RY", 0, Weight(0)), gate("RY", 1, Weight(1)), gate(entangler, (0, 1), *angles)]
    gates += [gate("RX", 0, Weight(2)), gate("RX", 1, 0.7)]
    circuit = Circuit.of(2, gates, map(PauliString.parse, ("ZI", "XY")))
    weights = torch.tensor([[math.pi / 2, math.pi / 2, 0.0]], dtype=torch.float64, requires_grad=True)
    (ours,) = torch.autograd.grad(ExactNetwork.of(circuit).run(NONE, weights).sum(), weights)
    (exact,) = torch.autograd.grad(dense.expectations(circuit, NONE, weights).sum(), weights)
    assert bool(ours.isfinite().all())
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-13)


@pytest.mark.parametrize("entangler", [("CZ", ()), ("RZZ", (math.pi / 2,))])
def test_the_derivative_of_a_decomposition_is_not(entangler):
    # What splitting the gate by its singular values would cost: two equal ones.
    name, angles = entangler
    matrix = torch.tensor(gate(name, (0, 1), *angles).type.matrix(*angles), dtype=torch.complex128)
    across = matrix.reshape(2, 2, 2, 2).permute(0, 2, 1, 3).reshape(4, 4).requires_grad_()
    u, s, vh = torch.linalg.svd(across)
    (gradient,) = torch.autograd.grad((u[0, 0] * s[0] * vh[0, 0]).abs(), across)
    assert not bool(gradient.isfinite().all())


def test_long_chains_agree_with_light_cones():
    circuit = load_circuit("data-reuploading", 40, layers=1)
    random = torch.Generator().manual_seed(2)
    features, weights = (
        torch.rand(size, generator=random, dtype=torch.float64) for size in ((2, 240), circuit.n_weights)
    )
    ours = load_backend("tensor:exact").expectations(circuit, features, weights)
    theirs = load_backend("statevector").expectations(circuit, features, weights)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_rings_of_the_paper_agree_with_the_dense_reference():
    circuit = load_circuit("long-range-reupload", 6, connectivity=1, reuploads=2, pqc2=False)
    random = torch.Generator().manual_seed(3)
    features, weights = (
        3 * torch.rand(size, generator=random, dtype=torch.float64) for size in ((2, 6), circuit.n_weights)
    )
    values = load_backend("tensor:exact").expectations(circuit, features, weights)
    torch.testing.assert_close(values, dense.expectations(circuit, features, weights), rtol=0, atol=1e-13)


def test_loops_are_refused_with_their_number():
    circuit = load_circuit("kicked-ising", 6, lattice="square:2x3", steps=3)
    with pytest.raises(
        CapabilityError, match=r"a graph with 2 loops, and cuts is 1; .* use cuts=2"
    ) as caught:
        ExactNetwork.of(circuit)
    assert "\n" not in str(caught.value)
    values = ExactNetwork.of(circuit, 2).run(NONE, NONE)
    torch.testing.assert_close(values, dense.expectations(circuit, NONE, NONE[0]), rtol=0, atol=1e-13)


def test_slices_and_bytes_are_counted():
    ring = load_circuit("kicked-ising", 6, lattice="ring:6", steps=4)
    network = ExactNetwork.of(ring)
    # The last layer is dropped; three gates are left on each edge.
    assert set(network.gates.values()) == {3}
    assert network.count_slices(0) == 4**3
    deeper = ExactNetwork.of(load_circuit("kicked-ising", 6, lattice="ring:6", steps=6))
    assert deeper.bytes_needed() > 64 * network.bytes_needed()
    assert ExactNetwork.of(load_circuit("kicked-ising", 6, steps=4)).count_slices(0) == 1


def test_edges_with_few_gates_are_cut():
    weights = {(0, 1): 3, (1, 2): 1, (0, 2): 2, (2, 3): 1, (4, 5): 1}
    assert cut_loops(6, weights) == ((1, 2),)
    assert split_into_parts([[1], [0], [], [4], [3]]) == [0, 0, 2, 3, 3]
    assert join([[1], [0, 2], [1, 3], [2], []], 0, [2, 4]) == {0: None, 1: 0, 2: 1}


class NothingLeavesTheDevice(TorchFunctionMode):
    """Refuses what copies the values of a tensor to the CPU or to Python."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func.__name__ not in ("cpu", "numpy", "item", "tolist", "__float__", "__bool__")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", GRAPHS)
def test_every_tensor_is_made_on_the_device_of_the_inputs(name):
    n_qubits, edges, cuts = GRAPHS[name]
    network, given = ExactNetwork.of(random_circuit(n_qubits, edges, 20, 0), cuts), inputs(0)
    expected = network.run(*given)
    # A tensor that is made without a device would be on `meta`, and products with it would fail.
    with torch.device("meta"), NothingLeavesTheDevice():
        values = network.run(*given)
    assert torch.equal(values, expected)
