"""Random circuits whose two-qubit gates lie on the edges of a graph."""

from __future__ import annotations

import numpy as np
import torch

from hybridqies.circuit import GATES, Circuit, Gate, PauliString, Weight, feature

TREE = ((0, 1), (1, 2), (1, 3), (3, 4))
RING = ((0, 1), (1, 2), (2, 3), (0, 3))
SCALES = (1.0, 0.5, -1.0)


def random_circuit(n_qubits: int, edges, n_gates: int, seed: int) -> Circuit:
    """Gates of any kind with features and weights, and Pauli strings of any length."""
    random = np.random.default_rng(seed)
    kinds = [GATES[name] for name in sorted(GATES)]
    gates = []
    for kind in random.choice(np.array(kinds), n_gates):
        qubits = (int(random.integers(n_qubits)),)
        if kind.n_qubits == 2:
            qubits = tuple(random.permutation(edges[random.integers(len(edges))]).tolist())
        gates.append(Gate(kind, qubits, tuple(_angle(random) for _ in kind.angles)))
    words = ["".join(random.choice([*"IXYZ"], n_qubits)) for _ in range(5)]
    observables = (PauliString.on("Z", 0), PauliString(()), *map(PauliString.parse, words))
    return Circuit(n_qubits, tuple(gates), observables, 2, 3)


def _angle(random):
    scale = float(random.choice(SCALES))
    if random.random() < 0.5:
        return Weight(int(random.integers(3)), scale)
    return feature(int(random.integers(2)), scale=scale)


def inputs(seed: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and rows of weights."""
    random = np.random.default_rng(seed)
    features, weights = (torch.from_numpy(random.uniform(-3, 3, (batch, count))) for count in (2, 3))
    return features, weights
