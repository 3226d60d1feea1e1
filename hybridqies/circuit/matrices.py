"""The matrices of the gates as plain complex numbers: fixed ones, rotations, and what is built from them."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

from hybridqies.circuit.gate_type import Rows

_ROOT_HALF = math.sqrt(0.5)
_EIGHTH = complex(_ROOT_HALF, _ROOT_HALF)

I2: Rows = ((1, 0), (0, 1))
PAULI_X: Rows = ((0, 1), (1, 0))
PAULI_Y: Rows = ((0, -1j), (1j, 0))
PAULI_Z: Rows = ((1, 0), (0, -1))
# Y without its global phase i, so that it stays real.
REAL_Y: Rows = ((0, -1), (1, 0))
H: Rows = ((_ROOT_HALF, _ROOT_HALF), (_ROOT_HALF, -_ROOT_HALF))
S: Rows = ((1, 0), (0, 1j))
SDG: Rows = ((1, 0), (0, -1j))
T: Rows = ((1, 0), (0, _EIGHTH))
TDG: Rows = ((1, 0), (0, _EIGHTH.conjugate()))
SX: Rows = ((0.5 + 0.5j, 0.5 - 0.5j), (0.5 - 0.5j, 0.5 + 0.5j))
SXDG: Rows = ((0.5 - 0.5j, 0.5 + 0.5j), (0.5 + 0.5j, 0.5 - 0.5j))
SWAP: Rows = ((1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1))


def fixed(rows: Rows) -> Callable[[], Rows]:
    """A matrix that depends on no angle."""
    return lambda: rows


def rotation(pauli: Rows) -> Callable[[float], Rows]:
    """exp(-i t/2 P) as a function of t, for a Pauli matrix or a Kronecker product of two."""

    def turned(angle: float) -> Rows:
        cos, sin = math.cos(angle / 2), math.sin(angle / 2)
        return tuple(
            tuple(cos * (row == column) - 1j * sin * entry for column, entry in enumerate(entries))
            for row, entries in enumerate(pauli)
        )

    return turned


def phase(angle: float) -> Rows:
    """diag(1, exp(i angle))."""
    return ((1, 0), (0, cmath.exp(1j * angle)))


def u(theta: float, phi: float, lamda: float) -> Rows:
    """OpenQASM 3's U without its global phase, as Qiskit and PennyLane (U3) have it."""
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return (
        (cos, -cmath.exp(1j * lamda) * sin),
        (cmath.exp(1j * phi) * sin, cmath.exp(1j * (phi + lamda)) * cos),
    )


def rot(phi: float, theta: float, omega: float) -> Rows:
    """RZ(omega) RY(theta) RZ(phi), as PennyLane's Rot."""
    turn = cmath.exp(-0.5j * (phi + omega))
    return tuple(tuple(turn * entry for entry in row) for row in u(theta, omega, phi))


def controlled(matrix: Callable[..., Rows]) -> Callable[..., Rows]:
    """`matrix` on the second qubit where the first is 1."""

    def whole(*angles: float) -> Rows:
        low = tuple((0, 0, *row) for row in matrix(*angles))
        return ((1, 0, 0, 0), (0, 1, 0, 0), *low)

    return whole


def kron(a: Rows, b: Rows) -> Rows:
    """The Kronecker product; `a` acts on the first qubit."""
    return tuple(tuple(x * y for x in row for y in other) for row in a for other in b)
