"""Trainability: the variance of gradients over random angles, by which a barren plateau shows.

McClean et al., arXiv:1803.11173: where a circuit is close to random, the variance falls exponentially with
the number of qubits, and training from random angles has no gradient to follow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

# Below it a derivative is rounding: the weight does not reach what is read.
_NOTHING = 1e-20


@dataclass(frozen=True, slots=True)
class GradientVariance:
    """The variance of a derivative over random angles, the mean over the weights that move the readout.

    `error` is its standard error. `moving` of all weights have a derivative other than zero.
    """

    value: float
    error: float
    moving: int


@dataclass(frozen=True, slots=True)
class Decay:
    """By what factor the variance falls with each qubit, and the 95 % interval of that factor."""

    factor: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """What that says, in words."""
        if self.low is None or self.high is None:
            return (
                f"the variance of gradients falls by {self.factor:.2f} a qubit; three sizes give an interval"
            )
        interval = f"{self.factor:.2f} a qubit [{self.low:.2f}, {self.high:.2f}]"
        if self.low > 1:
            return f"the variance of gradients falls by {interval}: expect a barren plateau at more qubits"
        if self.high < 1:
            return f"the variance of gradients grows: it falls by {interval}"
        return f"no fall of the variance is shown: {interval}"


def measure_variance(gradients: Tensor) -> GradientVariance | None:
    """The variance of derivatives (S, W), one row for each draw; None where no weight moves anything.

    The mean over weights is taken first within each draw, so that the error is one over independent draws.
    """
    return _mean_of((gradients - gradients.mean(0)).square(), len(gradients) - 1)


def measure_square(gradients: Tensor) -> GradientVariance | None:
    """The mean square of derivatives (S, W): their variance around zero, the mean of random circuits.

    None where no weight moves anything.
    """
    return _mean_of(gradients.square(), len(gradients))


def _mean_of(squares: Tensor, divisor: int) -> GradientVariance | None:
    """The mean over draws and over the weights that move anything."""
    moves = squares.mean(0) > _NOTHING
    moving = int(moves.sum())
    if not moving:
        return None
    draws = squares[:, moves].mean(1)
    return GradientVariance(float(draws.sum()) / divisor, float(draws.std()) / math.sqrt(len(draws)), moving)


def random_variance(n_qubits: int) -> float:
    """The variance in a circuit that is random before and after the weight: a 2-design on both sides.

    For a rotation exp(-iθP/2) and a Pauli string as observable it is N² / (2 (N² - 1)(N + 1)), with N = 2**n,
    from the second moments of the Haar measure (arXiv:1803.11173, eq. 6).
    """
    # Numbers of a thousand qubits are too large for floats, not for Python's integers.
    size: int = 2**n_qubits
    return size * size / (2 * (size * size - 1) * (size + 1))


def fit_decay(qubits: Sequence[int], variances: Sequence[float]) -> Decay | None:
    """The factor from a straight line through the logarithms; None of fewer than two numbers of qubits."""
    if len(set(qubits)) < 2:
        return None
    from scipy import stats

    line = stats.linregress(qubits, np.log(variances))
    factor = float(np.exp(-line.slope))
    if len(set(qubits)) == 2:
        return Decay(factor, None, None)
    margin = float(stats.t.ppf(0.975, len(qubits) - 2)) * float(line.stderr)
    with np.errstate(over="ignore"):
        low, high = (float(np.exp(-line.slope + side)) for side in (-margin, margin))
    return Decay(factor, low, high)
