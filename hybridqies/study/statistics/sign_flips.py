"""The sign-flip test of paired differences, one a seed, and what it can show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hybridqies.study.statistics.intervals import NOTHING, Floats, checked_numbers

# The chance of being shown that the smallest detectable difference is stated for.
POWER = 0.8
_ENUMERATED, _DRAWS, _COARSE = 2**14, 2_000, 20
# Patterns of more pairs are too many to simulate with: of 40 they would fill 4 TiB.
_MOST_SIMULATED = 16


def sign_flip_test(differences: Sequence[float] | Floats, *, seed: int = 0) -> float:
    """Two-sided p of paired differences, one a seed, when each sign is as likely as the other.

    Every pattern of signs is counted up to 14 pairs; above, 16,384 patterns are drawn from `seed`,
    and the observed one is counted with them (p = (k + 1) / (N + 1)), so that p is never 0.
    The smallest value it can take is `smallest_p`.
    """
    from scipy import stats

    numbers = checked_numbers(differences)
    if len(numbers) == 1:
        # Both signs of one difference are as far from 0 as each other.
        return 1.0
    result = stats.permutation_test(
        (numbers,),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_ENUMERATED,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def smallest_p(n_pairs: int) -> float:
    """The smallest p that a sign-flip test of so many pairs can give: 2 / 2^n, or what the draws allow."""
    return max(2 * 0.5**n_pairs, 2 / (_ENUMERATED + 1))


def pairs_needed(level: float) -> int:
    """How many pairs a sign-flip test needs before it can fall to `level` at all."""
    return max(1, math.ceil(1 - math.log2(level)))


@lru_cache(maxsize=256)
def detectable_dz(n_pairs: int, level: float) -> float | None:
    """The d_z that a sign-flip test of so many pairs shows at `level` in 80 % of studies.

    Differences are taken as normal: simulated from a fixed seed where few p values lie below `level`, for up
    to 16 pairs; else by the noncentral distribution of the paired t test. None when none can be shown.
    """
    if smallest_p(n_pairs) > level:
        return None
    is_coarse = level / smallest_p(n_pairs) < _COARSE and n_pairs <= _MOST_SIMULATED
    power = _simulated_power(n_pairs, level) if is_coarse else _t_power(n_pairs, level)
    from scipy import optimize

    return float(optimize.bisect(lambda effect: power(effect) - POWER, 0.0, 20.0, xtol=1e-3))


def _mean(sample: Floats, axis: int) -> Any:
    return np.mean(sample, axis=axis)


def _simulated_power(n_pairs: int, level: float) -> Callable[[float], float]:
    draws = np.random.default_rng(0).standard_normal((_DRAWS, n_pairs))
    # One half of the patterns: the other half are their negatives.
    bits = np.arange(2 ** (n_pairs - 1))[:, None] >> np.arange(n_pairs)
    signs = (1 - 2 * (bits & 1)).astype(np.float64)

    def power(effect: float) -> float:
        sums = np.abs((draws + effect) @ signs.T)
        p_values = (sums >= sums[:, :1] - NOTHING).mean(axis=1)
        return float((p_values <= level).mean())

    return power


def _t_power(n_pairs: int, level: float) -> Callable[[float], float]:
    from scipy import stats

    freedom = n_pairs - 1
    critical = float(stats.t.isf(level / 2, freedom))

    def power(effect: float) -> float:
        return float(stats.nct.sf(critical, freedom, effect * math.sqrt(n_pairs)))

    return power
