"""A backend holds little of the circuits that it has run, and says how much."""

from __future__ import annotations

import tracemalloc

import torch

from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import load_circuit


def run(backend: StateVector, seed: int) -> None:
    circuit = load_circuit("rot-ring", n_qubits=16, layers=1 + seed % 2)
    weights = torch.full((circuit.n_weights,), 0.1 * seed, requires_grad=True)
    backend.expectations(circuit, torch.zeros(8, circuit.n_features), weights).sum().backward()


def test_24_circuits_of_16_qubits_share_their_arrays():
    backend = StateVector()
    for seed in range(2):
        run(backend, seed)
    # A ket and a bra of 8 complex samples.
    states = 2 * 8 * 8 * 2**16
    assert states <= backend.bytes_held < states + 2**20
    tracemalloc.start()
    for seed in range(24):
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
