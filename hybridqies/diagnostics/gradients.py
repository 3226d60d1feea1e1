"""Random inputs of a circuit, and the derivatives of one of its observables by every weight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import Circuit, Start

# Amplitudes simulated at a time; more samples are taken in turns.
_AT_ONCE = 2**23

Inputs = tuple[Tensor, Tensor, Tensor | None]
"""Features (B, F), weights (B, W), and amplitudes (B, A) of a circuit that starts from them."""


def rows_at_once(n_qubits: int) -> int:
    """How many states are simulated together; an even number, so that they can be paired."""
    return max(2, min(_AT_ONCE >> min(n_qubits, 22), 1024))


def draw_inputs(circuit: Circuit, seed: int, samples: int) -> Iterator[Inputs]:
    """Uniform features and weights in [0, 2π) and Gaussian amplitudes, a part at a time; the same each time.

    An odd number of samples is one less: pairs of states are compared within a part, so that none may hold
    a single one.
    """
    random, part = np.random.default_rng([seed, circuit.n_qubits]), rows_at_once(circuit.n_qubits)
    for start in range(0, samples - samples % 2, part):
        count = min(part, samples - samples % 2 - start)
        angles = [
            torch.from_numpy(random.uniform(0, 2 * math.pi, (count, columns)))
            for columns in (circuit.n_features, circuit.n_weights)
        ]
        amplitudes = None
        if circuit.start is Start.AMPLITUDES:
            amplitudes = torch.from_numpy(random.normal(size=(count, circuit.n_amplitudes)))
        yield angles[0], angles[1], amplitudes


def differentiate(circuit: Circuit, readout: int, inputs: Iterable[Inputs]) -> Tensor:
    """Derivatives of the observable `readout` by every weight, (samples, W), a row for each of the inputs.

    Raises
    ------
    CapabilityError: the exact simulator does not take the circuit.
    """
    alone = replace(circuit, observables=(circuit.observables[readout],))
    backend, rows = StateVector(), []
    for features, weights, amplitudes in inputs:
        weights.requires_grad_()
        total = backend.expectations(alone, features, weights, amplitudes).sum()
        rows.append(torch.autograd.grad(total, weights)[0])
    return torch.cat(rows)
