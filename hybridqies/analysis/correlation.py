"""Correlations over tokens, with intervals over windows and other quantities partialled out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridqies.errors import InputError

RESAMPLES = 1000
# Spreads below it are rounding: gates that entangle nothing.
_STILL = 1e-5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r over `n` tokens with its 95 % interval, and the same with covariates partialled out.

    None where a quantity does not vary.
    """

    n: int
    r: float | None
    low: float | None
    high: float | None
    partial: float | None
    partial_low: float | None
    partial_high: float | None


def correlate(values: Tensor, target: Tensor, covariates: Tensor, seed: int = 0) -> Correlation:
    """The correlation of `values` with `target`, both (N, T), and with `covariates` (C, N, T) held fixed.

    Tokens where `values` is NaN are left out. Tokens of one window are not independent, so whole windows are
    drawn for the bootstrap, RESAMPLES times.

    Raises
    ------
    InputError: fewer than two windows.
    """
    if len(values) < 2:
        raise InputError(
            f"a correlation over {len(values)} windows was asked for", expected="at least 2 windows"
        )
    moments = _moments(values, target, covariates)
    draws = np.random.default_rng(seed).multinomial(
        len(moments), np.full(len(moments), 1 / len(moments)), RESAMPLES
    )
    whole, *drawn = (_correlations(each) for each in (moments.sum(0), *np.tensordot(draws, moments, 1)))
    ends = [_ends([pair[at] for pair in drawn]) if whole[at] is not None else (None, None) for at in (0, 1)]
    return Correlation(int(moments[:, 0, 0].sum()), whole[0], *ends[0], whole[1], *ends[1])


def _moments(values: Tensor, target: Tensor, covariates: Tensor) -> Floats:
    """Sums over the tokens of each window of all products of 1, value, target and covariates, (N, k, k).

    Quantities are centred and scaled before, so that no digits cancel.
    """
    known = ~values.isnan()
    columns = []
    for each in (values.nan_to_num(), target, *covariates):
        seen = each[known].double()
        spread = float(seen.std()) if seen.numel() > 1 else 0.0
        scale = 1 / spread if spread > _STILL else 0.0
        columns.append((each.double() - seen.mean()) * scale)
    whole = torch.stack([torch.ones_like(columns[0]), *columns], -1) * known[..., None]
    products: Floats = torch.einsum("nti,ntj->nij", whole, whole).numpy()
    return products


def _correlations(moments: Floats) -> tuple[float | None, float | None]:
    """Simple and partial correlation of the first two quantities, from summed products (k, k)."""
    count = moments[0, 0]
    if count < 2:
        return None, None
    means = moments[0, 1:] / count
    covariance = moments[1:, 1:] / count - np.outer(means, means)
    between = covariance[:2, 2:]
    rest = covariance[:2, :2] - between @ np.linalg.pinv(covariance[2:, 2:], hermitian=True) @ between.T
    return _ratio(covariance), _ratio(rest)


def _ratio(covariance: Floats) -> float | None:
    first, second = covariance[0, 0], covariance[1, 1]
    if min(first, second) < _STILL**2:
        return None
    return float(np.clip(covariance[0, 1] / math.sqrt(first * second), -1.0, 1.0))


def _ends(drawn: list[float | None]) -> tuple[float | None, float | None]:
    known = [each for each in drawn if each is not None]
    if not known:
        return None, None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
