"""Rank and frequency of states: counts in descending order, and the exponent of a power law over a range."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError

Whole = NDArray[np.int64]


class Weights(enum.Enum):
    """What the squared error of a rank counts: 1, 1/√rank, or 1/rank, which is its width in log rank."""

    EQUAL = "equal"
    ROOT = "root"
    RANK = "rank"


@dataclass(frozen=True, slots=True)
class ZipfFit:
    """frequency ≈ exp(`height`) · rank^(−`exponent`) over ranks `first` to `last`.

    `error` is the weighted root mean square of the residuals in the logarithm of the frequency.
    """

    exponent: float
    height: float
    first: int
    last: int
    weights: Weights
    error: float


def count_states(states: NDArray[np.uint64]) -> Whole:
    """How often each different state (N,) occurs, in descending order."""
    _, counts = np.unique(states, return_counts=True)
    return np.sort(counts)[::-1].astype(np.int64)


def fit_zipf(
    counts: Whole, *, first: int = 100, last: int = 10_000, weights: Weights = Weights.RANK
) -> ZipfFit:
    """The exponent of counts by rank, by weighted least squares in log-log over ranks `first` to `last`.

    `counts` (R,) are in descending order. States that occurred about once make the end of a ranking a
    plateau, and the few states of the first moves make its beginning steps: the range leaves both out.

    Raises
    ------
    InputError: an empty range, one beyond the ranks there are, or counts that ascend.
    """
    if not 1 <= first < last <= len(counts):
        raise InputError(
            f"ranks {first} to {last} of {len(counts)} states were to be fitted",
            expected="first < last, both among the ranks there are",
            todo="choose a smaller range, or play more games",
        )
    if (np.diff(counts) > 0).any() or counts[-1] < 1:
        raise InputError("counts by rank ascend, or one is below 1", expected="those of count_states")
    ranks = np.arange(first, last + 1, dtype=np.float64)
    shares = _shares(ranks, weights)
    x, y = np.log(ranks), np.log(counts[first - 1 : last].astype(np.float64))
    x_mean, y_mean = shares @ x, shares @ y
    slope = float(shares @ ((x - x_mean) * (y - y_mean)) / (shares @ (x - x_mean) ** 2))
    height = float(y_mean - slope * x_mean)
    error = float(np.sqrt(shares @ (y - height - slope * x) ** 2))
    return ZipfFit(-slope, height, first, last, weights, error)


def _shares(ranks: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    power = {Weights.EQUAL: 0.0, Weights.ROOT: 0.5, Weights.RANK: 1.0}[weights]
    values = ranks**-power
    return np.asarray(values / values.sum(), dtype=np.float64)
