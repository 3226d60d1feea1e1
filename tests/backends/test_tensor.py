"""Tensor networks as a backend: exact where nothing is discarded, honest where something is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from hybridqies.backends import Estimate, QuantumLayer, TruncationWarning, load_backend
from hybridqies.backends.tensor import TensorNetwork
from hybridqies.circuit import Circuit, PauliString, Weight, gate, load_circuit
from hybridqies.errors import CapabilityError, InputError
from hybridqies.testing import GateContract, SamplingContract, dense

NONE = torch.zeros(1, 0, dtype=torch.float64)


class Untruncated:
    """A tensor network on circuits so small that its bonds hold everything."""

    text: str

    def backend(self):
        return load_backend(self.text)

    def exact(self):
        return self.backend()

    def truthful(self, **options):
        return self.having(**options) if options else self.backend()  # type: ignore[attr-defined]


class TestChain(Untruncated, GateContract, SamplingContract):
    text = "tensor:mps,chi=8,route=swap"


class TestTree(Untruncated, GateContract):
    text = "tensor:peps,chi=8"


class TestRoutedTree(Untruncated, SamplingContract):
    text = "tensor:peps,chi=8,lattice=chain:3,route=swap,environment=beliefs"


def kicked(chi: int, more: str = "", *, steps: int = 5, theta: float = 0.6):
    """The estimate of ⟨Z⟩ on 127 qubits."""
    circuit = load_circuit("kicked-ising", 127, lattice="heavy-hex:127", theta_h=theta, steps=steps)
    return load_backend(f"tensor:peps,chi={chi}{more}").estimate(circuit, NONE, NONE[0])


def test_127_qubits():
    found = kicked(32, ",lattice=heavy-hex:127")
    assert abs(float(found.values[0, 62]) - 0.7608592617758363) < 1e-12
    assert float(found.truncation.discarded) == 0
    assert not found.truncation.drift.any()
    assert found.truncation.bond == 16


def test_what_is_discarded_is_warned_of():
    with pytest.warns(TruncationWarning, match="discarded a weight of .*, and half its chi moves a value by"):
        found = kicked(4)
    assert float(found.truncation.discarded) > 1e-3
    with pytest.warns(TruncationWarning, match="half its chi"):
        half = kicked(2)
    drift = (found.values - half.values).abs()
    torch.testing.assert_close(found.truncation.drift, drift, rtol=0, atol=1e-12)
    assert 0 < float(found.truncation.largest) < float(found.truncation.discarded)


def test_no_warning_below_the_threshold():
    assert float(kicked(4, ",threshold=10").truncation.discarded) > 1e-3
    # An angle at which little is discarded.
    assert 0 < float(kicked(4, theta=0.05).truncation.discarded) < 1e-4


def test_twenty_steps_are_warned_of():
    with pytest.warns(TruncationWarning, match=r"discarded a weight of 9\.9e-01, and half its chi moves"):
        found = kicked(8, steps=20)
    assert float(found.truncation.drift[0, 62]) > 0.03


def test_an_infinite_lattice():
    circuit = load_circuit("kicked-ising", 5, lattice="heavy-hex:infinite")
    backend = load_backend("tensor:peps,chi=32,lattice=heavy-hex:infinite")
    values = backend.expectations(circuit, NONE, NONE[0])
    assert abs(float(values.mean()) - 0.699066350) < 1e-8
    pair = replace(circuit, observables=(PauliString.parse("ZZIII"),))
    with pytest.raises(CapabilityError, match="observable of 2 sites"):
        backend.check(pair)


def test_gates_off_the_lattice_are_refused_or_routed():
    circuit = load_circuit("long-range-reupload", 5, connectivity=2, reuploads=1)
    with pytest.raises(CapabilityError, match="off the lattice") as caught:
        load_backend("tensor:mps").check(circuit)
    assert "\n" not in str(caught.value)
    backend = load_backend("tensor:mps,chi=32,route=swap,threshold=0")
    random = torch.Generator().manual_seed(1)
    features, weights = (torch.rand(size, generator=random).double() for size in ((2, 5), circuit.n_weights))
    found = backend.estimate(circuit, features, weights)
    exact = dense.expectations(circuit, features, weights)
    torch.testing.assert_close(found.values, exact, rtol=0, atol=1e-12)
    assert found.truncation.swaps > 0
    assert isinstance(backend, TensorNetwork)
    assert backend.resources(circuit).gates_2q == circuit.two_qubit_gates() + found.truncation.swaps


@pytest.mark.parametrize(
    ("pairs", "swaps"),
    [
        ([(0, 1), (2, 3)], 0),
        ([(0, 3)], 2),
        # Qubits stay where they are moved to: 0 is beside 3 already, and then one site from 1.
        ([(0, 3), (0, 3)], 2),
        ([(0, 3), (0, 1)], 3),
    ],
)
def test_a_route_reports_its_swaps(pairs, swaps):
    gates = [gate("RY", 0, 0.7), *(gate("CNOT", pair) for pair in pairs), gate("RX", 3, 0.3)]
    circuit = Circuit.of(4, gates, map(PauliString.parse, ("ZIII", "IZIZ", "IIIY")))
    backend = load_backend("tensor:mps,route=swap")
    found = backend.estimate(circuit, NONE, NONE[0])
    assert found.truncation.swaps == swaps
    assert isinstance(backend, TensorNetwork)
    assert backend.resources(circuit).gates_2q == len(pairs) + swaps
    torch.testing.assert_close(found.values, dense.expectations(circuit, NONE, NONE[0]), rtol=0, atol=1e-14)


def test_sites_that_no_edge_connects_are_refused(tmp_path):
    path = tmp_path / "two.edges"
    path.write_text("0 1\n2 3\n")
    circuit = Circuit.of(4, [gate("CNOT", (0, 2))], [PauliString.on("Z", 2)])
    with pytest.raises(CapabilityError, match="sites 0 and 2"):
        load_backend(f"tensor:peps,lattice={path},route=swap").check(circuit)


def test_gradients_by_the_shift_rule_on_a_lattice():
    gates = [gate("RX", site, Weight(site)) for site in range(6)]
    gates += [gate("RZZ", pair, Weight(6)) for pair in ((0, 1), (1, 2), (1, 3), (3, 4), (3, 5))]
    gates += [gate("RY", site, Weight(site, 0.5)) for site in range(6)]
    circuit = Circuit.of(6, gates)
    weights = torch.linspace(0.2, 1.5, 7, dtype=torch.float64, requires_grad=True)
    (ours,) = torch.autograd.grad(
        load_backend("tensor:peps").expectations(circuit, NONE, weights).sum(), weights
    )
    exact_values = dense.expectations(circuit, NONE, weights)
    (exact,) = torch.autograd.grad(exact_values.sum(), weights)
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tensor:mps,lattice=chain:4", "unknown option of backend 'tensor:mps': 'lattice'"),
        ("tensor:mps,environment=beliefs", "unknown option of backend 'tensor:mps': 'environment'"),
        ("tensor:exact,chi=4", "unknown option of backend 'tensor:exact': 'chi'"),
        ("tensor:exact,cuts=-1", "'cuts' was given -1"),
        ("tensor:mps,gradient=adjoint", "gradient=adjoint"),
        ("tensor:peps,route=swap", "'route' was given without lattice"),
        ("tensor:peps,lattice=heavyhex:127", "did you mean 'heavy-hex'"),
        ("tensor:peps,chi=0", "'chi' was given 0"),
        ("tensor:peps,environment=mean", "did you mean 'mean-field'"),
        ("tensor:peps,shots=10", "shots"),
        ("tensor:pepz", "did you mean 'peps'"),
    ],
)
def test_options_that_do_not_fit_are_refused(text, said):
    with pytest.raises(InputError, match=said) as caught:
        load_backend(text)
    assert "\n" not in str(caught.value)


def test_exact_is_the_default_and_says_that_it_is_exact():
    backend = load_backend("tensor")
    assert (backend.spec, backend.is_exact, backend.tells_errors, backend.gradient) == (
        "tensor:exact",
        True,
        True,
        "adjoint",
    )
    assert not load_backend("tensor:peps").is_exact
    assert not load_backend("tensor:mps").tells_errors


def test_exact_refuses_loops_and_sizes():
    grid = load_circuit("kicked-ising", 9, lattice="square:3x3", steps=2)
    with pytest.raises(CapabilityError, match="4 loops"):
        QuantumLayer(grid, "tensor:exact")
    assert QuantumLayer(grid, "tensor:exact,cuts=4").backend.spec == "tensor:exact,cuts=4"
    deep = load_circuit("kicked-ising", 40, steps=30)
    with pytest.raises(CapabilityError, match=r"GiB.*use fewer layers"):
        QuantumLayer(deep, "tensor:exact")


def test_memory_is_refused_before_anything_is_allocated():
    circuit = load_circuit("kicked-ising", 36, lattice="square:6x6", steps=12)
    with pytest.raises(CapabilityError, match=r"GiB.*use a smaller chi"):
        QuantumLayer(circuit, "tensor:peps,chi=512")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_exact_on_a_cuda_device():
    circuit = load_circuit("long-range-reupload", 6, connectivity=1, pqc2=False)
    random = torch.Generator().manual_seed(5)
    features, weights = (
        torch.rand(size, generator=random, dtype=torch.float64) for size in ((3, 6), circuit.n_weights)
    )
    found = load_backend("tensor:exact").expectations(circuit, features.cuda(), weights.cuda())
    assert found.device.type == "cuda"
    torch.testing.assert_close(
        found.cpu(), dense.expectations(circuit, features, weights), rtol=0, atol=1e-12
    )


def test_more_qubits_than_sites_are_refused():
    circuit = load_circuit("kicked-ising", 5)
    with pytest.raises(CapabilityError, match="4 sites and circuit 'kicked-ising' 5 qubits"):
        load_backend("tensor:peps,lattice=chain:4").check(circuit)


def test_an_estimate_keeps_its_truncation_in_another_precision():
    circuit = load_circuit("kicked-ising", 4, steps=1)
    found = load_backend("tensor:peps").estimate(circuit, torch.zeros(2, 0), torch.zeros(0))
    assert isinstance(found, Estimate)
    assert (
        found.values.dtype
        == found.truncation.discarded.dtype
        == found.truncation.drift.dtype
        == torch.float32
    )
    assert found.truncation.discarded.shape == (2,)
    assert math.isclose(float(found.values[0, 0]), math.cos(0.6), abs_tol=1e-6)
