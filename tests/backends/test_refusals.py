"""`long-range-reupload` on 40 qubits: no simulator has it, and each says so before it allocates anything."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from hybridqies.backends import QuantumLayer, TruncationWarning, load_backend
from hybridqies.backends.registry import BACKENDS, backend_class
from hybridqies.circuit import load_circuit
from hybridqies.errors import CapabilityError

N = 40
REUPLOAD, SPARSE = "long-range-reupload", "long-range-sparse"


def of_size(name: str, most: int) -> str:
    """What a simulator of whole states says, with or without options."""
    label = name.split(",")[0]
    return (
        f"40 qubits were asked of backend '{label}'; expected at most {most}; use fewer qubits or another "
        "backend (see: hybridqies backends)"
    )


def of_whole_state(name: str) -> str:
    return (
        f"40 qubits were asked of backend '{name}', which runs the whole state; expected at most 28 qubits; "
        "use 'statevector' without options, which runs the light cone of each observable"
    )


LOOPS = (
    "the gates of circuit 'long-range-reupload' lie on a graph with 81 loops; expected a tree or a ring; use "
    "fewer qubits and a state vector, or gates on fewer pairs of qubits"
)
NEIGHBOURS = (
    "gates of circuit 'long-range-reupload' join qubit 0 with 6 others; expected at most 4 neighbours: "
    "simple update takes the rest for a tree; use gates of shorter reach, or fewer qubits and a state vector"
)
BONDS = (
    "the bonds of circuit 'long-range-reupload' on 40 qubits may need dimension 1,048,576 on backend "
    "'aer:matrix_product_state'; expected at most 4,096, which is exact in half a gigabyte a qubit; use "
    "fewer qubits, or fewer gates across the middle of the chain"
)


def off_lattice(pairs: int) -> str:
    return (
        f"circuit 'long-range-reupload' has {pairs} pairs of qubits off the lattice, as (0, 2); expected "
        "gates on edges of the lattice; choose the lattice of the circuit, or move qubits together with "
        "route=swap"
    )


SENTENCES = {
    "statevector": "the light cone of observable Z0 of circuit 'long-range-reupload' has 40 qubits, too "
    "many for backend 'statevector'; expected at most 28 in each cone; use fewer layers of entangling gates, "
    "gates of shorter reach, or CZ in place of CNOT",
    "tensor:exact": LOOPS,
    "tensor:exact,cuts=20": LOOPS,
    "tensor:peps": NEIGHBOURS,
    "tensor:peps,chi=256,environment=beliefs": NEIGHBOURS,
    "tensor:peps,lattice=heavy-hex:127": off_lattice(91),
    "tensor:mps": off_lattice(81),
    "aer:matrix_product_state": BONDS,
    "aer:matrix_product_state,shots=100,p2=0.01": BONDS,
}
for _options in ("shots=100", "p2=0.01,trajectories=10", "gradient=shift", "gradient=spsa"):
    SENTENCES[f"statevector,{_options}"] = of_whole_state(f"statevector,{_options}")
for _name, _most in {
    "pennylane:default.qubit": 28,
    "pennylane:default.qubit,shots=100": 28,
    "pennylane:lightning.qubit": 28,
    "pennylane:lightning.gpu": 28,
    "pennylane:default.mixed": 28,
    "aer:statevector": 28,
    "aer:statevector,shots=100,p2=0.01": 28,
    "aer:density_matrix": 12,
    "aer:density_matrix,p2=0.01,readout=0.01": 12,
    "ibm:fake_torino": 28,
    "ibm:fake_brisbane": 28,
    "ionq:simulator": 29,
    "ionq:simulator,noise_model=forte-1": 29,
    "ionq:qpu.forte-1": 36,
}.items():
    SENTENCES[_name] = of_size(_name, _most)
# A QPU of more qubits computes no state: it runs the circuit, after its price was agreed to.
TAKES_IT = "ibm:ibm_torino"


@contextmanager
def one_gigabyte_more() -> Iterator[None]:
    """The process may reserve no more than another gigabyte: a state of 2**28 amplitudes is at least two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("name", SENTENCES)
def test_every_simulator_refuses_before_it_allocates(name, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "none")
    family, _, target = name.split(",")[0].partition(":")
    if backend_class(family).variant_of(target).missing:
        pytest.skip("its package is not installed")
    circuit, backend = load_circuit(REUPLOAD, N), load_backend(name)
    for ask in (
        lambda: backend.check(circuit),
        lambda: QuantumLayer(circuit, backend),
        lambda: backend.expectations(circuit, torch.zeros(1, N), torch.zeros(circuit.n_weights)),
    ):
        with one_gigabyte_more(), pytest.raises(CapabilityError) as caught:
            ask()
        assert str(caught.value) == SENTENCES[name]


def test_every_target_is_in_the_table():
    asked = [name.split(",")[0].partition(":") for name in [*SENTENCES, TAKES_IT]]
    rows = {backend_class(family).variant_of(target).summary for family, _, target in asked}
    for family in BACKENDS:
        assert {each.summary for each in backend_class(family).variants} <= rows


def test_the_one_that_takes_it_is_hardware():
    pytest.importorskip("qiskit_ibm_runtime")
    backend = load_backend(TAKES_IT)
    backend.check(load_circuit(REUPLOAD, N))
    assert backend.capabilities.hardware
    assert backend.capabilities.costs_money


def test_a_route_that_is_asked_for_warns():
    circuit = load_circuit(REUPLOAD, N)
    random = torch.Generator().manual_seed(0)
    features, weights = (
        3 * torch.rand(size, generator=random).double() for size in ((1, N), circuit.n_weights)
    )
    backend = load_backend("tensor:mps,chi=2,route=swap")
    with pytest.warns(TruncationWarning, match="values may be wrong"):
        found = backend.expectations(circuit, features, weights)
    assert found.shape == (1, len(circuit.observables))


# `long-range-sparse` on 40 qubits, with cones of up to 16 qubits and of up to 8.
SPARSE_RUNS = {
    "statevector": (True, True),
    "statevector,shots=100": (False, False),
    "tensor:exact": (False, False),
    "tensor:exact,cuts=9": (True, True),
    "tensor:exact,cuts=5": (False, True),
    "tensor:peps": (True, True),
    "tensor:mps": (False, False),
    "tensor:mps,route=swap": (True, True),
    "pennylane:default.qubit": (False, False),
    "aer:statevector": (False, False),
    "aer:matrix_product_state": (False, True),
}


@pytest.mark.parametrize("name", SPARSE_RUNS)
def test_what_runs_long_range_sparse(name):
    backend = load_backend(name)
    for options, runs in zip(({}, {"cone": 8}), SPARSE_RUNS[name], strict=True):
        circuit = load_circuit(SPARSE, N, **options)
        if runs:
            backend.check(circuit)
        else:
            with one_gigabyte_more(), pytest.raises(CapabilityError):
                backend.check(circuit)
