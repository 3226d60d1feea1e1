"""A backend holds little of the circuits that it has run, and says how much."""

from __future__ import annotations

import tracemalloc

import torch

from hybridqies.backends.plan_cache import PlanCache
from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import load_circuit
from hybridqies.engine import compile_plan


def run(backend: StateVector, seed: int) -> None:
    circuit = load_circuit("rot-ring", n_qubits=16, layers=1 + seed % 2)
    weights = torch.full((circuit.n_weights,), 0.1 * seed, requires_grad=True)
    backend.expectations(circuit, torch.zeros(8, circuit.n_features), weights).sum().backward()


def test_circuits_of_16_qubits_share_their_arrays():
    backend = StateVector()
    for seed in range(2):
        run(backend, seed)
    # A ket and a bra of 8 complex samples.
    states = 2 * 8 * 8 * 2**16
    assert states <= backend.bytes_held < states + 2**20
    tracemalloc.start()
    for seed in range(8):
        run(backend, seed)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < states / 2
    assert states <= backend.bytes_held < states + 2**20


def test_circuits_beyond_the_limit_are_dropped():
    backend = StateVector()
    for _ in range(70):
        circuit = load_circuit("rot-ring", n_qubits=2, layers=1)
        weights = torch.zeros(circuit.n_weights)
        backend.expectations(circuit, torch.zeros(1, circuit.n_features), weights)
    assert len(backend._compiled) == 64


def test_plans_are_dropped_when_they_take_too_many_bytes():
    backend = StateVector()
    circuits = [load_circuit("rot-ring", n_qubits=4, layers=8) for _ in range(6)]
    inputs = torch.zeros(1, circuits[0].n_features), torch.zeros(circuits[0].n_weights)
    backend.expectations(circuits[0], *inputs)
    each = backend.bytes_held
    backend._compiled = PlanCache(most_bytes=3 * each)
    for circuit in circuits:
        backend.expectations(circuit, *inputs)
    assert len(backend._compiled) == 3
    assert backend.bytes_held == 3 * each
    # A second plan of the last circuit, for rows of weights, drops another circuit.
    backend.expectations(circuits[-1], inputs[0], inputs[1][None])
    assert len(backend._compiled) == 2
    backend._compiled._most_bytes = 1
    assert backend.expectations(circuits[0], *inputs).shape == (1, 4)
    assert len(backend._compiled) == 1


def test_bytes_of_plans_are_those_that_python_allocates():
    circuit = load_circuit("rot-ring", n_qubits=6, layers=100)
    tracemalloc.start()
    plan = compile_plan(circuit)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.5 * held < plan.nbytes < 2 * held
