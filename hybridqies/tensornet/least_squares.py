"""The best core for the others held fixed: the normal equations, solved at once or by conjugate gradients.

The error is tr((W − M) C (W − M)ᵀ). The unknowns of a core (left, out, in, right) form one system of
left · in · right unknowns, which is the same for each entry of the row index `out`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hybridqies.errors import InputError
from hybridqies.tensornet.mpo import contract

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_SYSTEM = 2048
"""Unknowns up to which the system is written out and factorised; conjugate gradients are faster beyond."""

STEPS = 60
GAIN = 3e-3
"""Conjugate gradients end when a step lowers the error by less than this share of it."""

_TINY = 1e-300

Map = Callable[["Tensor"], "Tensor"]


def project(moved: Tensor, left: Tensor, right: Tensor, core: Tensor) -> Tensor:
    """A matrix (∏ out, ∏ in) times both environments, in the shape of the core."""
    import torch

    shape = (left.shape[1], core.shape[1], right.shape[1], left.shape[2], core.shape[2], right.shape[2])
    half = torch.einsum("xyzuvw,xua->ayzvw", moved.reshape(shape), left[0])
    return torch.einsum("ayzvw,bzw->ayvb", half, right[..., 0])


def solve(
    core: Tensor, projection: Tensor, left: Tensor, right: Tensor, covariance: Tensor, energy: float
) -> Tensor:
    """The best core, or one that is better than `core` and near the best where the system is large.

    `projection` is that of W C, and `energy` is tr(W C Wᵀ).

    Raises
    ------
    InputError: the covariance is not positive definite.
    """
    if core.numel() // core.shape[1] <= LARGEST_SYSTEM:
        return solve_at_once(projection, left, right, covariance)

    def apply(some: Tensor) -> Tensor:
        matrix = contract([left, some, right])[0, :, :, 0]
        return project(matrix @ covariance, left, right, some)

    precondition = invert_blocks(left, right, covariance, core.shape[2])
    return descend(core, projection, apply, precondition, energy)


def solve_at_once(projection: Tensor, left: Tensor, right: Tensor, covariance: Tensor) -> Tensor:
    """The core for which the error is least, by a Cholesky factorisation."""
    import torch

    size, rows = projection.shape[0] * projection.shape[2] * projection.shape[3], projection.shape[1]
    dims = (left.shape[2], projection.shape[2], right.shape[2])
    grams = torch.einsum("xua,xpc->uapc", left[0], left[0])
    half = torch.einsum("uapc,uvwpqr->acvwqr", grams, covariance.reshape(*dims, *dims))
    ends = torch.einsum("bzw,dzr->bwdr", right[..., 0], right[..., 0])
    system = torch.einsum("acvwqr,bwdr->avbcqd", half, ends).reshape(size, size)
    given = projection.permute(0, 2, 3, 1).reshape(size, rows)
    factor, failed = torch.linalg.cholesky_ex(system)
    if int(failed):
        raise _indefinite()
    solved = torch.cholesky_solve(given, factor)
    return solved.reshape(*projection.shape[::2], projection.shape[3], rows).permute(0, 3, 1, 2)


def descend(
    core: Tensor,
    projection: Tensor,
    apply: Map,
    precondition: Map,
    energy: float,
    *,
    steps: int = STEPS,
    gain: float = GAIN,
) -> Tensor:
    """Preconditioned conjugate gradients from `core` on; no step raises the error.

    Each entry of the row index has its own step lengths, because its system is independent of the others.
    """
    residual = projection - apply(core)
    direction = guided = precondition(residual)
    slope = _dot(residual, guided)
    error = energy - float((core * (projection + residual)).sum())
    for _ in range(steps):
        moved = apply(direction)
        curvature = _dot(direction, moved)
        if bool((curvature < 0).any()):
            raise _indefinite()
        length = slope / curvature.clamp_min(_TINY)
        core, residual = core + length * direction, residual - length * moved
        before, error = error, energy - float((core * (projection + residual)).sum())
        if before - error < gain * error:
            break
        guided = precondition(residual)
        last, slope = slope, _dot(residual, guided)
        direction = guided + slope / last.clamp_min(_TINY) * direction
    return core


def invert_blocks(left: Tensor, right: Tensor, covariance: Tensor, n_columns: int) -> Map:
    """The preconditioner: the system without what couples different entries of the column index.

    It has one block for each of them, as wide as the wider bond; over the other bond the system is averaged.
    """
    import torch

    dims = (left.shape[2], n_columns, right.shape[2])
    blocks = covariance.reshape(*dims, *dims).diagonal(dim1=1, dim2=4)
    if left.shape[3] >= right.shape[0]:
        ends = torch.einsum("bzw,bzr->wr", right[..., 0], right[..., 0]) / right.shape[0]
        half = torch.einsum("upv,xpc->uvxc", torch.einsum("uwprv,wr->upv", blocks, ends), left[0])
        inverse = torch.linalg.inv(torch.einsum("uvxc,xua->vac", half, left[0]))
        return lambda residual: torch.einsum("vac,czvb->azvb", inverse, residual)
    ends = torch.einsum("xua,xpa->up", left[0], left[0]) / left.shape[3]
    half = torch.einsum("wrv,dzr->wvzd", torch.einsum("uwprv,up->wrv", blocks, ends), right[..., 0])
    inverse = torch.linalg.inv(torch.einsum("wvzd,bzw->vbd", half, right[..., 0]))
    return lambda residual: torch.einsum("vbd,azvd->azvb", inverse, residual)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """One product for each entry of the row index, (1, out, 1, 1)."""
    return (first * second).sum((0, 2, 3), keepdim=True)


def _indefinite() -> InputError:
    return InputError(
        "the covariance is not positive definite",
        expected="positive eigenvalues",
        todo="add a small multiple of the identity to it",
    )
