"""Weights as circuits: W ≈ U M Vᵀ with brickwork circuits U and V around an MPO M.

The gates turn W into a matrix U^T W V that an MPO of the same bonds reproduces better.
Source: arXiv:2410.17397.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridqies.errors import InputError
from hybridqies.tensornet.brickwork import Brickwork, improve_gates
from hybridqies.tensornet.fit import improve
from hybridqies.tensornet.mpo import MPO, pad

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Disentangled:
    """A matrix (rows, columns) as U M Vᵀ, on widths padded to powers of two.

    `errors` are ‖W − U M Vᵀ‖ / ‖W‖ with the padding, at the start and after each sweep; none is larger than
    the one before. `kept_energy` is 1 − ‖W − W'‖² / ‖W‖² for the rows and columns of W alone, and
    `leaked_energy` the share ‖U M Vᵀ‖² / ‖W‖² of what lies in the padding, where it is lost.
    """

    left: Brickwork
    mpo: MPO
    right: Brickwork
    shape: tuple[int, int]
    errors: tuple[float, ...]
    kept_energy: float
    leaked_energy: float

    @property
    def n_gates(self) -> int:
        """Gates of both circuits."""
        return len(self.left.bonds) + len(self.right.bonds)

    @property
    def n_angles(self) -> int:
        """Six for each gate of both circuits."""
        return self.left.n_angles + self.right.n_angles

    def count_parameters(self, price: float = 1.0) -> float:
        """Numbers in the MPO, and `price` for each of the six angles of every gate."""
        return self.mpo.n_parameters + price * self.n_angles

    def to_matrix(self) -> Tensor:
        """The approximation (rows, columns), in float64."""
        rows, columns = self.shape
        return _multiply(self.left, self.mpo, self.right)[:rows, :columns]


def disentangle(matrix: Tensor, chi: int | None, depth: int, sweeps: int = 40) -> Disentangled:
    """Circuits of `depth` layers and an MPO of bonds of at most `chi` (None: exact) for a real matrix.

    The gates start as identities. Each sweep sets every gate in turn to the best for the others, and then
    the MPO to the better of two: one sweep of alternating least squares from the last one, or a new TT-SVD.
    It ends early where a sweep lowers the error no more. Depth 0 has no gates: the control, an MPO by
    alternating least squares alone. The MPO has one site for each qubit of the wider side; those that the
    other side lacks are at the end. Source: arXiv:2410.17397.

    Raises
    ------
    InputError: no finite real matrix other than zero, or a `chi`, `depth` or `sweeps` out of range.
    """
    target = _prepare(matrix, sweeps)
    left, right = (Brickwork.identity(count_qubits(size), depth) for size in matrix.shape)
    out_dims, in_dims = qubit_sites(*matrix.shape)
    target = pad(target, out_dims, in_dims)
    norm = float(target.norm())
    mpo = MPO.from_matrix(target, out_dims, in_dims, chi)
    errors = [_distance(mpo, target) / norm]
    for _ in range(sweeps):
        turned_left, fitted, turned_right, distance = _sweep(target, left, mpo, right, chi)
        if not distance / norm < errors[-1]:
            break
        left, mpo, right = turned_left, fitted, turned_right
        errors.append(distance / norm)
    rows, columns = matrix.shape
    whole = _multiply(left, mpo, right)
    lost = float((target - whole)[:rows, :columns].square().sum()) / norm**2
    whole[:rows, :columns] = 0
    leaked = float(whole.square().sum()) / norm**2
    return Disentangled(left, mpo, right, (rows, columns), tuple(errors), 1 - lost, leaked)


def count_qubits(size: int) -> int:
    """Qubits whose states hold that many amplitudes, at least one."""
    return max(1, math.ceil(math.log2(size)))


def qubit_sites(rows: int, columns: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How an MPO on qubits splits rows and columns: twos, and ones at the end of the shorter side."""
    counts = [count_qubits(rows), count_qubits(columns)]
    row_sites, column_sites = ((2,) * count + (1,) * (max(counts) - count) for count in counts)
    return row_sites, column_sites


def _prepare(matrix: Tensor, sweeps: int) -> Tensor:
    """The matrix in float64."""
    if matrix.ndim != 2 or matrix.is_complex() or not bool(matrix.isfinite().all()) or not bool(matrix.any()):
        raise InputError(
            f"a tensor of shape {tuple(matrix.shape)} and {matrix.dtype} cannot be disentangled",
            expected="a real matrix with finite values that are not all zero",
        )
    if sweeps < 0:
        raise InputError(f"{sweeps} sweeps were asked for", expected="0 or more")
    return matrix.detach().cpu().double()


def _sweep(
    target: Tensor, left: Brickwork, mpo: MPO, right: Brickwork, chi: int | None
) -> tuple[Brickwork, MPO, Brickwork, float]:
    """Both circuits and the MPO after a sweep, and their distance from the target."""
    core = mpo.to_matrix()
    left = improve_gates(left, target, right.apply(core.mT).mT)
    right = improve_gates(right, target.mT, left.apply(core).mT)
    turned = _undo(target, left, right)
    candidates = [improve(mpo, turned), MPO.from_matrix(turned, mpo.out_dims, mpo.in_dims, chi)]
    distances = [_distance(each, turned) for each in candidates]
    nearest = distances.index(min(distances))
    return left, candidates[nearest], right, distances[nearest]


def _distance(mpo: MPO, target: Tensor) -> float:
    return float((target - mpo.to_matrix()).norm())


def _undo(target: Tensor, left: Brickwork, right: Brickwork) -> Tensor:
    """U^T W V."""
    return left.undo(right.undo(target.mT).mT)


def _multiply(left: Brickwork, mpo: MPO, right: Brickwork) -> Tensor:
    """U M V^T, padding included."""
    return left.apply(right.apply(mpo.to_matrix().mT).mT)
