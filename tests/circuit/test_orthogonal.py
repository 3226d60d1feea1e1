"""Orthogonal matrices on two qubits as gates: the product is the matrix itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hybridqies.circuit import GATES, Gate, orthogonal_gates
from hybridqies.errors import CircuitError

CNOT, SWAP, CZ = np.eye(4)[[0, 1, 3, 2]], np.eye(4)[[0, 2, 1, 3]], np.diag([1.0, 1, 1, -1])
FIXED = {
    "identity": np.eye(4),
    "minus": -np.eye(4),
    "cnot": CNOT,
    "reversed": np.eye(4)[[0, 3, 2, 1]],
    "swap": SWAP,
    "cz": CZ,
    "one flipped": np.diag([-1.0, 1, 1, 1]),
    "hadamards": np.kron([[1, 1], [1, -1]], [[1, 1], [1, -1]]) / 2,
    "turn": np.kron([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]], np.eye(2)),
}


def product(gates: list[Gate]) -> np.ndarray:
    """Of gates on qubits 0 and 1."""
    whole = np.eye(4, dtype=complex)
    for each in gates:
        rows: Any = each.type.matrix(*(angle.value for angle in each.angles))
        matrix = np.array(rows)
        if each.qubits == (0,):
            matrix = np.kron(matrix, np.eye(2))
        elif each.qubits == (1,):
            matrix = np.kron(np.eye(2), matrix)
        elif each.qubits == (1, 0):
            matrix = SWAP @ matrix @ SWAP
        whole = matrix @ whole
    return whole


@pytest.mark.parametrize("matrix", FIXED.values(), ids=FIXED)
def test_matrices_with_many_zeros(matrix) -> None:
    np.testing.assert_allclose(product(orthogonal_gates(matrix, (0, 1))), matrix, atol=1e-14)


@pytest.mark.parametrize("sign", [1, -1])
def test_random_matrices_of_either_determinant(sign) -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        matrix = np.linalg.qr(draw.standard_normal((4, 4)))[0]
        matrix[:, 0] *= sign * np.sign(np.linalg.det(matrix))
        gates = orthogonal_gates(matrix, (0, 1))
        np.testing.assert_allclose(product(gates), matrix, atol=2e-14)
        assert sum(each.type is GATES["CNOT"] for each in gates) == (2 if sign > 0 else 3)
        assert sum(len(each.angles) for each in gates) == 6


@pytest.mark.parametrize(
    "matrix",
    [np.eye(2), 1j * np.eye(4), np.ones((4, 4)), np.full((4, 4), math.nan)],
    ids=["shape", "complex", "not orthogonal", "NaN"],
)
def test_other_matrices_are_refused(matrix) -> None:
    with pytest.raises(CircuitError, match="a gate on two qubits"):
        orthogonal_gates(matrix, (0, 1))
