"""McNemar's test of two arms on the same texts, with texts as units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.study.statistics.sign_flips import POWER

Whole = NDArray[np.int64]


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
