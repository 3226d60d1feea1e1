"""Any real orthogonal matrix on two qubits as gates of the table."""

from __future__ import annotations

import cmath
import math
from functools import cache
from typing import TYPE_CHECKING

from hybridqies.circuit.circuit import Gate, gate
from hybridqies.errors import CircuitError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TOLERANCE = 1e-8


def orthogonal_gates(matrix: npt.ArrayLike, qubits: tuple[int, int]) -> list[Gate]:
    """Gates whose product is the real orthogonal `matrix` (4, 4) on two qubits, phase included.

    Two rotations of SU(2), each RZ, RY, RZ, between fixed gates, of which two are CNOTs. A determinant of
    -1 takes a third CNOT, which comes first. In the basis that diagonalises RXX, RYY and RZZ
    together, a matrix of SO(4) is a product of two of SU(2).
    Source: Vatan and Williams, arXiv:quant-ph/0308006.

    Raises
    ------
    CircuitError: the matrix is not real, 4 by 4 and orthogonal to 1e-8.
    """
    import numpy as np

    given = _check(matrix)
    first, second = qubits
    gates = []
    if np.linalg.det(given) < 0:
        gates.append(gate("CNOT", qubits))
        given = given[:, [0, 1, 3, 2]]
    magic = _magic()
    a, b = _factor(magic.conj().T @ given @ magic)
    into = [gate("SDG", first), gate("SDG", second), gate("H", first), gate("CNOT", qubits)]
    back = [gate("CNOT", qubits), gate("H", first), gate("S", first), gate("S", second)]
    return [*gates, *into, *_turn(a, first), *_turn(b, second), *back]


@cache
def _magic() -> npt.NDArray[np.complex128]:
    """(S ⊗ S)(H ⊗ 1) CNOT."""
    import numpy as np

    hadamard = np.array([[1, 1], [1, -1]]) * math.sqrt(0.5)
    product: npt.NDArray[np.complex128] = (
        np.diag([1, 1j, 1j, -1]) @ np.kron(hadamard, np.eye(2)) @ np.eye(4)[[0, 1, 3, 2]]
    )
    return product


def _check(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    import numpy as np

    given = np.asarray(matrix)
    if given.shape != (4, 4) or not np.isrealobj(given):
        raise CircuitError(
            f"a gate on two qubits was given a matrix of shape {given.shape} and type {given.dtype}",
            expected="a real matrix of shape (4, 4)",
        )
    given = given.astype(np.float64)
    # Also where an entry is NaN.
    if not float(np.abs(given @ given.T - np.eye(4)).max()) <= _TOLERANCE:
        raise CircuitError("a gate on two qubits was given a matrix that is not orthogonal")
    return given


def _factor(product: npt.NDArray[np.complex128]) -> tuple[npt.NDArray[np.complex128], ...]:
    """The two matrices of SU(2) whose Kronecker product was given."""
    import numpy as np

    pairs = product.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3)
    row, column = divmod(int(np.argmax(np.linalg.norm(pairs, axis=(2, 3)))), 2)
    second = pairs[row, column]
    second = second / cmath.sqrt(complex(np.linalg.det(second)))
    first = np.einsum("abcd,cd->ab", pairs, second.conj()) / 2
    return first, second


def _turn(matrix: npt.NDArray[np.complex128], qubit: int) -> list[Gate]:
    """A matrix of SU(2) as RZ, RY, RZ. Not as ROT, whose phase is another one in Qiskit."""
    low_left, low_right = complex(matrix[1, 0]), complex(matrix[1, 1])
    half_sum, half_difference = cmath.phase(low_right), -cmath.phase(low_left)
    theta = 2 * math.atan2(abs(low_left), abs(low_right))
    return [
        gate("RZ", qubit, half_sum + half_difference),
        gate("RY", qubit, theta),
        gate("RZ", qubit, half_sum - half_difference),
    ]
