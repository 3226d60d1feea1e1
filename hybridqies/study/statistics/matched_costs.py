"""The loss of one arm minus that of another: at the same sizes, or where both cost the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.options import to_mapping

LEVEL = 0.05
# A cubic through the nearest sizes follows a power law between them to less than the noise of a seed.
_NEAREST = 4
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SizedLosses:
    """The losses of an arm: one row for each size, with its name, what it costs, and a loss for each seed.

    Raises
    ------
    InputError: no size, one without losses, or a cost that is not above 0.
    """

    arm: str
    sizes: tuple[str, ...]
    costs: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not self.sizes or not all(self.losses) or min(self.costs) <= 0:
            raise InputError(
                f"losses of {self.arm!r} were given as {list(self.losses)} at costs of {list(self.costs)}",
                expected="a loss at each of some sizes, and costs above 0",
            )

    @property
    def means(self) -> Floats:
        """The mean loss at each size."""
        return np.array([np.mean(row) for row in self.losses])

    @property
    def variances(self) -> Floats:
        """The variance of each of these means; NaN where there is one seed."""
        return np.array([np.var(row, ddof=1) / len(row) if len(row) > 1 else math.nan for row in self.losses])

    @property
    def freedoms(self) -> Floats:
        """The degrees of freedom of each variance."""
        return np.array([len(row) - 1.0 for row in self.losses])


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference in loss with its t interval (Welch, Satterthwaite); without an interval of one seed."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class MatchedDifference:
    """An arm against a reference, size by size and over all sizes, below 0 where the arm is better.

    `basis` says what is equal: "size", or the kind of cost. `left_out` are sizes of the arm that cost less
    than the smallest or more than the largest of the reference.
    """

    arm: str
    reference: str
    basis: str
    family: int
    sizes: tuple[str, ...]
    rows: tuple[Contrast, ...]
    left_out: tuple[str, ...]
    mean: Contrast

    def statement(self) -> str:
        """The verdict on the mean over sizes, in words."""
        mean, count = self.mean, len(self.sizes)
        over = f"over {count} sizes" if count > 1 else f"at size {self.sizes[0]}"
        start = f"{self.arm} − {self.reference} at equal {self.basis}, {over}: {_signed(mean.value)} nats"
        if mean.low is None or mean.high is None:
            return f"{start}; no interval from one seed"
        percent = f"{100 * (1 - LEVEL / self.family):.4g}"
        interval = f"{percent} % interval {_signed(mean.low)} to {_signed(mean.high)}"
        if not mean.excludes_zero:
            return f"{start} ({interval}): no difference was shown"
        return f"{start} ({interval}): {self.arm} is {'better' if mean.value < 0 else 'worse'}"

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values, with the statement."""
        return {
            **to_mapping(self),
            "excludes_zero": self.mean.excludes_zero,
            "statement": self.statement(),
        }


def compare_sizes(arm: SizedLosses, reference: SizedLosses, family: int = 1) -> MatchedDifference | None:
    """Arm minus reference at the sizes that both have; None where there is none."""
    places = {size: at for at, size in enumerate(reference.sizes)}
    weights = {at: _one(places[size], len(places)) for at, size in enumerate(arm.sizes) if size in places}
    return _difference(arm, reference, "size", family, weights)


def compare_costs(
    arm: SizedLosses, reference: SizedLosses, basis: str, family: int = 1
) -> MatchedDifference | None:
    """Arm minus reference where both cost the same; None where no size of the arm lies in the range.

    Between its sizes the reference is a cubic in the logarithm of the cost, through the nearest four of them.
    It is not extended beyond them.
    """
    logs = np.log(np.array(reference.costs))
    weights = {
        at: _lagrange(math.log(cost), logs)
        for at, cost in enumerate(arm.costs)
        if min(reference.costs) <= cost <= max(reference.costs)
    }
    return _difference(arm, reference, basis, family, weights)


def _one(place: int, count: int) -> Floats:
    return np.asarray(np.eye(count)[place], dtype=np.float64)


def _lagrange(at: float, logs: Floats) -> Floats:
    """The weight of each known value in the polynomial through the nearest ones."""
    nearest = np.argsort(np.abs(logs - at))[:_NEAREST]
    weights = np.zeros(len(logs))
    for place in nearest:
        others = logs[nearest[nearest != place]]
        weights[place] = np.prod((at - others) / (logs[place] - others))
    return weights


def _difference(
    arm: SizedLosses, reference: SizedLosses, basis: str, family: int, weights: Mapping[int, Floats]
) -> MatchedDifference | None:
    if not weights:
        return None
    places = list(weights)
    rows = [_contrast(arm, reference, [place], [weights[place]], family) for place in places]
    return MatchedDifference(
        arm.arm,
        reference.arm,
        basis,
        family,
        tuple(arm.sizes[place] for place in places),
        tuple(rows),
        tuple(size for at, size in enumerate(arm.sizes) if at not in weights),
        _contrast(arm, reference, places, [weights[place] for place in places], family),
    )


def _contrast(
    arm: SizedLosses, reference: SizedLosses, places: Sequence[int], weights: Sequence[Floats], family: int
) -> Contrast:
    """The mean over `places` of the arm's loss minus the weighted losses of the reference.

    It is linear in the mean losses of all sizes, which are independent, so its variance is known.
    """
    own = np.zeros(len(arm.sizes))
    own[list(places)] = 1 / len(places)
    other = -np.mean(weights, axis=0)
    factors = np.concatenate([own, other])
    used = factors != 0
    means = np.concatenate([arm.means, reference.means])
    value = float(factors[used] @ means[used])
    parts = (factors**2 * np.concatenate([arm.variances, reference.variances]))[used]
    variance = float(parts.sum())
    if not variance > 0:
        # NaN of a single seed, or losses that are all the same.
        return Contrast(value)
    freedoms = np.concatenate([arm.freedoms, reference.freedoms])[used]
    from scipy import stats

    freedom = variance**2 / float((parts**2 / freedoms).sum())
    margin = float(stats.t.ppf(1 - LEVEL / family / 2, freedom)) * math.sqrt(variance)
    return Contrast(value, value - margin, value + margin)


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")
