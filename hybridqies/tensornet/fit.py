"""Fitting an MPO to a matrix: alternating least squares, one core at a time.

The error is ‖W − M‖² or, with the covariance C of the inputs, tr((W − M) C (W − M)ᵀ): the squared change of
the outputs, averaged over the inputs. Each update solves for one core, so that the error never grows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hybridqies.errors import InputError
from hybridqies.tensornet.least_squares import project, solve
from hybridqies.tensornet.mpo import MPO, contract, pad

if TYPE_CHECKING:
    from torch import Tensor


def squared_error(mpo: MPO, matrix: Tensor, covariance: Tensor | None = None) -> float:
    """‖W − M‖², or tr((W − M) C (W − M)ᵀ) with a covariance C, (columns, columns)."""
    difference = pad(matrix, mpo.out_dims, mpo.in_dims) - mpo.to_matrix()
    moved = difference if covariance is None else difference @ covariance
    return float((difference * moved).sum())


def improve(mpo: MPO, matrix: Tensor, covariance: Tensor | None = None, *, sweeps: int = 1) -> MPO:
    """The MPO after `sweeps` sweeps over all sites and back; its error is never larger than before.

    `matrix` may be smaller than the MPO: it is padded with zeros. `covariance` is positive definite and as
    wide as the MPO. Bonds stay, unless they are larger than the sites on one side of them.

    Raises
    ------
    InputError: the covariance has the wrong shape or isn't positive definite.
    """
    target = pad(matrix, mpo.out_dims, mpo.in_dims)
    _check(mpo, covariance)
    cores, last = list(mpo.cores), len(mpo.cores) - 1
    for site in range(last, 0, -1):
        _move_left(cores, site)
    moved = target if covariance is None else target @ covariance
    _update(cores, 0, target, moved, covariance)
    for _ in range(sweeps):
        for site in range(last):
            _move_right(cores, site)
            _update(cores, site + 1, target, moved, covariance)
        for site in range(last, 0, -1):
            _move_left(cores, site)
            _update(cores, site - 1, target, moved, covariance)
    return MPO(tuple(cores))


def _update(cores: list[Tensor], site: int, target: Tensor, moved: Tensor, covariance: Tensor | None) -> None:
    """Replaces one core by the best for the others, which are orthogonal; a solution no better is dropped."""
    left, right = _environment(cores[:site], moved), _environment(cores[site + 1 :], moved)
    best = project(moved, left, right, cores[site])
    if covariance is not None:
        energy = float((target * moved).sum())
        solved = solve(cores[site], best, left, right, covariance, energy)
        # Rounding in an ill-conditioned system may cost more than the step gains.
        trial = MPO((*cores[:site], solved, *cores[site + 1 :]))
        if squared_error(trial, target, covariance) > squared_error(MPO(tuple(cores)), target, covariance):
            return
        best = solved
    cores[site] = best


def _environment(cores: list[Tensor], like: Tensor) -> Tensor:
    """The cores on one side of a site, contracted: (left, out, in, right)."""
    return contract(cores) if cores else like.new_ones(1, 1, 1, 1)


def _move_right(cores: list[Tensor], site: int) -> None:
    """Makes a core orthogonal from the left; what remains goes into the next. The matrix is the same."""
    import torch

    left, out, within, right = cores[site].shape
    Q, R = torch.linalg.qr(cores[site].reshape(-1, right))
    cores[site] = Q.reshape(left, out, within, -1)
    cores[site + 1] = torch.tensordot(R, cores[site + 1], dims=1)


def _move_left(cores: list[Tensor], site: int) -> None:
    """Makes a core orthogonal from the right; what remains goes into the one before."""
    import torch

    left, out, within, right = cores[site].shape
    Q, R = torch.linalg.qr(cores[site].reshape(left, -1).mT)
    cores[site] = Q.mT.reshape(-1, out, within, right)
    cores[site - 1] = torch.tensordot(cores[site - 1], R.mT, dims=1)


def _check(mpo: MPO, covariance: Tensor | None) -> None:
    columns = math.prod(mpo.in_dims)
    if covariance is None:
        return
    if covariance.shape != (columns, columns):
        raise InputError(
            f"a covariance of shape {tuple(covariance.shape)} was given", expected=f"({columns}, {columns})"
        )
