"""Steps of a plan as whole matrices, by another road than the engine's: for a handful of qubits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridqies.circuit import Feature
from hybridqies.engine.basis_map import BasisMap
from hybridqies.engine.lowering import Factor, Fixed, Step

Matrix = np.ndarray[Any, Any]
PAULIS = (np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1]))
# Angles of features and weights where a test names none: irregular, so that nothing agrees by chance.
FEATURES = tuple(0.4 + 0.83 * i for i in range(10))
WEIGHTS = tuple(-1.1 + 0.57 * i for i in range(20))


def of_step(
    step: Step, n_qubits: int, features: Sequence[float] = FEATURES, weights: Sequence[float] = WEIGHTS
) -> Matrix:
    """The 2**n x 2**n matrix of one step on stored amplitudes."""
    small = np.eye(2, dtype=complex)
    for factor in step.factors:
        small = _of_factor(factor, features, weights) @ small
    result = np.eye(2**n_qubits, dtype=complex)
    for p in range(2**n_qubits):
        if _parity(step.mask & p) or (step.control and _parity(step.control[0] & p) != step.control[1]):
            continue
        pair = [p, p ^ step.flip]
        result[np.ix_(pair, pair)] = small
    return result


def of_frame(frame: BasisMap) -> Matrix:
    """The permutation that puts each stored amplitude where its basis state lies."""
    n_qubits = len(frame.masks)
    result = np.zeros((2**n_qubits, 2**n_qubits))
    for p in range(2**n_qubits):
        bits = [_parity(mask & p) ^ c for mask, c in zip(frame.masks, frame.constants, strict=True)]
        result[int("".join(map(str, bits)), 2), p] = 1
    return result


def _of_factor(factor: Factor, features: Sequence[float], weights: Sequence[float]) -> Matrix:
    if isinstance(factor, Fixed):
        return factor.matrix
    angle = factor.angle
    if isinstance(angle, Feature):
        value = angle.scale * math.prod(features[i] for i in angle.indices)
    else:
        value = angle.scale * weights[angle.index]
    half = factor.sign * value / 2
    return math.cos(half) * np.eye(2) - 1j * math.sin(half) * PAULIS[factor.axis]


def _parity(bits: int) -> int:
    return bin(bits).count("1") % 2
