"""Statistics of a study, from arrays alone: intervals over seeds, paired tests, Holm, what could be shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# The chance of being shown that the smallest detectable difference is stated for.
POWER = 0.8
_ENUMERATED, _DRAWS, _COARSE = 2**14, 2_000, 20
# Below it a spread is rounding: accuracies are ratios of counts.
_NOTHING = 1e-12


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


@dataclass(frozen=True, slots=True)
class Paired:
    """Two arms on the same texts: how often one alone was right, and what that says.

    `n_texts` counts texts, `n_predictions` predictions: a text that several seeds tested counts
    once in the first. `difference` is arm minus reference in accuracy, `odds` the matched-pairs odds
    arm_only / reference_only with its 95 % interval; they are None when one of the counts is 0.
    """

    n_texts: int
    n_predictions: int
    arm_only: int
    reference_only: int
    difference: float
    detectable: float | None
    odds: float | None
    odds_low: float | None
    odds_high: float | None
    p_value: float


def spread(values: Sequence[float] | Floats) -> Spread:
    """Mean, standard deviation and 95 % t interval of values, one a seed.

    Raises
    ------
    InputError: there are none, or one is not a number.
    """
    from scipy import stats

    numbers = _numbers(values)
    n, mean = len(numbers), float(numbers.mean())
    if n == 1:
        return Spread(1, mean)
    deviation = float(numbers.std(ddof=1))
    margin = float(stats.t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return Spread(n, mean, deviation, mean - margin, mean + margin)


def sign_flip_test(differences: Sequence[float] | Floats, *, seed: int = 0) -> float:
    """Two-sided p of paired differences, one a seed, when each sign is as likely as the other.

    Every pattern of signs is counted up to 14 pairs; above, 16,384 patterns are drawn from `seed`,
    and the observed one is counted with them (p = (k + 1) / (N + 1)), so that p is never 0.
    The smallest value it can take is `smallest_p`.
    """
    from scipy import stats

    numbers = _numbers(differences)
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


def cohen_dz(differences: Sequence[float] | Floats) -> float | None:
    """Mean of paired differences over their standard deviation; None where they don't vary."""
    of = spread(differences)
    if of.deviation is None or of.deviation < _NOTHING:
        return None
    return of.mean / of.deviation


@cache
def detectable_dz(n_pairs: int, level: float) -> float | None:
    """The d_z that a sign-flip test of so many pairs shows at `level` in 80 % of studies.

    Differences are taken as normal: simulated from a fixed seed where few p values lie below `level`, else by
    the noncentral distribution of the paired t test. None when no difference can be shown.
    """
    if smallest_p(n_pairs) > level:
        return None
    is_coarse = level / smallest_p(n_pairs) < _COARSE
    power = _simulated_power(n_pairs, level) if is_coarse else _t_power(n_pairs, level)
    from scipy import optimize

    return float(optimize.bisect(lambda effect: power(effect) - POWER, 0.0, 20.0, xtol=1e-3))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for being a family, in the order given (Holm 1979, step-down)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in adjusted]


def mcnemar(texts: Whole, arm_right: NDArray[np.bool_], reference_right: NDArray[np.bool_]) -> Paired:
    """McNemar's test of two arms, exact, and valid where several seeds tested the same text.

    Each argument has shape (N,), one entry a prediction, all seeds one after another; `texts` numbers the
    text of each. A text's unit is d = (times the arm alone was right) − (times the reference alone was),
    over its seeds: predictions for one text hang together, so under the null the sign of d is flipped as a
    whole. The two-sided p counts every pattern of signs, through the distribution of Σ ± d. With each text
    tested once this is the exact binomial McNemar test.

    Raises
    ------
    InputError: the arguments differ in length or are empty.
    """
    if not 0 < len(texts) == len(arm_right) == len(reference_right):
        raise InputError(
            f"McNemar's test has {len(texts)} texts with {len(arm_right)} and {len(reference_right)} answers",
            expected="one answer of each arm for each text",
        )
    _, unit = np.unique(texts, return_inverse=True)
    wins = np.bincount(unit, arm_right & ~reference_right).astype(np.int64)
    losses = np.bincount(unit, reference_right & ~arm_right).astype(np.int64)
    arm_only, reference_only, total = int(wins.sum()), int(losses.sum()), len(texts)
    odds = _matched_odds(wins, losses)
    return Paired(
        n_texts=len(wins),
        n_predictions=total,
        arm_only=arm_only,
        reference_only=reference_only,
        difference=(arm_only - reference_only) / total,
        detectable=_detectable_by_texts(wins - losses, total),
        odds=odds[0],
        odds_low=odds[1],
        odds_high=odds[2],
        p_value=_sign_sum_p(wins - losses),
    )


def _numbers(values: Sequence[float] | Floats) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise InputError(
            f"statistics over seeds were asked of {numbers.tolist()}", expected="one finite number a seed"
        )
    return numbers


def _mean(sample: Floats, axis: int) -> Any:
    return np.mean(sample, axis=axis)


def _simulated_power(n_pairs: int, level: float) -> Callable[[float], float]:
    draws = np.random.default_rng(0).standard_normal((_DRAWS, n_pairs))
    # One half of the patterns: the other half are their negatives.
    bits = np.arange(2 ** (n_pairs - 1))[:, None] >> np.arange(n_pairs)
    signs = (1 - 2 * (bits & 1)).astype(np.float64)

    def power(effect: float) -> float:
        sums = np.abs((draws + effect) @ signs.T)
        p_values = (sums >= sums[:, :1] - _NOTHING).mean(axis=1)
        return float((p_values <= level).mean())

    return power


def _t_power(n_pairs: int, level: float) -> Callable[[float], float]:
    from scipy import stats

    freedom = n_pairs - 1
    critical = float(stats.t.isf(level / 2, freedom))

    def power(effect: float) -> float:
        return float(stats.nct.sf(critical, freedom, effect * math.sqrt(n_pairs)))

    return power


def _sign_sum_p(units: Whole) -> float:
    """P(|Σ ± d| ≥ |Σ d|) over all patterns of signs of integers, by convolution."""
    from scipy import stats

    sizes = np.bincount(np.abs(units))
    chances = np.ones(1)
    for size in range(1, len(sizes)):
        count = int(sizes[size])
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, steps)
    reach = len(chances) // 2
    sums = np.abs(np.arange(-reach, reach + 1))
    return min(1.0, float(chances[sums >= abs(int(units.sum()))].sum()))


def _detectable_by_texts(units: Whole, n_predictions: int) -> float | None:
    """The difference in accuracy that so many discordant texts show with the stated power (normal limit)."""
    from scipy import stats

    if not units.any():
        return None
    width = float(stats.norm.ppf(0.975) + stats.norm.ppf(POWER))
    return width * math.sqrt(float((units**2).sum())) / n_predictions


def _matched_odds(wins: Whole, losses: Whole) -> tuple[float | None, float | None, float | None]:
    """Odds wins / losses with a 95 % interval on the logarithm, texts as clusters."""
    won, lost = int(wins.sum()), int(losses.sum())
    if not won or not lost:
        return None, None, None
    share = won / (won + lost)
    # The linearised variance of a ratio of sums; for single predictions it is 1/won + 1/lost on the log odds.
    residuals = wins - share * (wins + losses)
    error = math.sqrt(float((residuals**2).sum())) / (won + lost) / (share * (1 - share))
    odds = won / lost
    return odds, odds * math.exp(-1.96 * error), odds * math.exp(1.96 * error)
