"""Mean, deviation and interval of values, one a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError

Floats = NDArray[np.float64]

# Below it a spread is rounding: accuracies are ratios of counts.
NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean of `n` values, their standard deviation (n − 1), and the 95 % t interval of the mean.

    Of one value there is no deviation and no interval.
    """

    n: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None


def spread(values: Sequence[float] | Floats) -> Spread:
    """Mean, standard deviation and 95 % t interval of values, one a seed.

    Raises
    ------
    InputError: there are none, or one is not a number.
    """
    from scipy import stats

    numbers = checked_numbers(values)
    n, mean = len(numbers), float(numbers.mean())
    if n == 1:
        return Spread(1, mean)
    deviation = float(numbers.std(ddof=1))
    margin = float(stats.t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return Spread(n, mean, deviation, mean - margin, mean + margin)


def cohen_dz(differences: Sequence[float] | Floats) -> float | None:
    """Mean of paired differences over their standard deviation; None where they don't vary."""
    of = spread(differences)
    if of.deviation is None or of.deviation < NOTHING:
        return None
    return of.mean / of.deviation


def checked_numbers(values: Sequence[float] | Floats) -> Floats:
    """The values as an array (N,).

    Raises
    ------
    InputError: there are none, or one is not a number.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise InputError(
            f"statistics over seeds were asked of {numbers.tolist()}", expected="one finite number a seed"
        )
    return numbers
