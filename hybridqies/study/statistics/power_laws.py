"""Power laws of scaling: L = E + A / N^α + B / D^β from measured losses, by a robust fit of log L."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError

Floats = NDArray[np.float64]

SYMBOLS = {"size": ("A", "alpha"), "tokens": ("B", "beta")}
"""What the coefficient and the exponent of each quantity are called."""

# Errors of log L beyond it count linearly (Hoffmann et al. 2022).
_DELTA = 1e-3
# Without it the objective is so small that the optimiser stops early.
_SCALE = 1e3
_EXPONENTS = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 1.2])
_POLISHED = 6
_LARGEST_EXPONENT = 20.0
# Below it, in shares of the smallest loss, E is not told from 0.
_NO_FLOOR = 1e-6
# The fewest different values of a quantity, for a law of one and of two quantities.
_FEWEST = {1: 4, 2: 3}
# Pairs of size and tokens that lie closer to one line, in log-log, say nothing about two exponents.
_LINE = 0.999


@dataclass(frozen=True, slots=True)
class Measured:
    """Losses (n,) and the quantities (n, J) that they were measured at, by name: size, tokens or both.

    Raises
    ------
    InputError: a value that is not positive and finite, or too few different quantities for a law.
    """

    names: tuple[str, ...]
    quantities: Floats
    losses: Floats
    what: str = "the table"

    def __post_init__(self) -> None:
        for name, values in zip(("loss", *self.names), (self.losses, *self.quantities.T), strict=True):
            wrong = values[~(np.isfinite(values) & (values > 0))]
            if len(wrong):
                raise InputError(
                    f"{self.what} has a {name} of {wrong[0]:g}", expected="finite numbers above 0"
                )
        self._check_spread()

    def _check_spread(self) -> None:
        fewest = _FEWEST[len(self.names)]
        for name, values in zip(self.names, self.quantities.T, strict=True):
            different = np.unique(values)
            if len(different) < fewest:
                raise InputError(
                    f"{self.what} has only {', '.join(f'{value:g}' for value in different)} as {name}",
                    expected=f"at least {fewest} different values, so that an exponent can be fitted",
                    todo=f"measure more of them, or leave {name} out" if len(self.names) == 2 else "",
                )
        if len(self.names) == 2 and not self._spans_a_plane():
            raise InputError(
                f"{self.what} has size and tokens that grow together",
                expected="at least 6 different pairs of them, with several tokens to a size",
                todo="measure more pairs, or leave one of them out",
            )

    def _spans_a_plane(self) -> bool:
        logs = np.log(np.unique(self.quantities, axis=0))
        return len(logs) >= 6 and abs(np.corrcoef(logs.T)[0, 1]) < _LINE


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """L = E + Σ coefficient / quantity^exponent over the named quantities."""

    names: tuple[str, ...]
    floor: float
    coefficients: tuple[float, ...]
    exponents: tuple[float, ...]

    def losses(self, quantities: Floats) -> Floats:
        """The losses (n,) at quantities (n, J)."""
        terms = np.asarray(self.coefficients) * quantities ** -np.asarray(self.exponents)
        return np.asarray(self.floor + terms.sum(axis=1), dtype=np.float64)

    @property
    def a_opt(self) -> float | None:
        """β / (α + β): the best size grows as compute^a_opt. None without both quantities."""
        if len(self.names) < 2:
            return None
        alpha, beta = self.exponents
        return beta / (alpha + beta)

    def to_mapping(self) -> dict[str, float]:
        """Values by symbol: E, A, alpha, B, beta, a_opt, as far as the law has them."""
        found = {"E": self.floor}
        for name, coefficient, exponent in zip(self.names, self.coefficients, self.exponents, strict=True):
            found |= dict(zip(SYMBOLS[name], (coefficient, exponent), strict=True))
        return found if self.a_opt is None else found | {"a_opt": self.a_opt}


@dataclass(frozen=True, slots=True)
class FitProblem:
    """log L of one law, or of laws of several groups that share E and exponents.

    Every exponent of the sum is linear in the values that are fitted: `design` (n, J + 1, P). The values are
    log E; for each quantity log A at the mean of its logarithms, and the exponent; then for each group but
    the first the logarithm of its factor on L − E. Around the mean the fit is well-conditioned.
    """

    names: tuple[str, ...]
    quantities: Floats
    centres: Floats
    design: Floats
    logs: Floats

    @classmethod
    def of(cls, *groups: Measured) -> FitProblem:
        """The problem of groups that are measured at the same kinds of quantities."""
        quantities = np.concatenate([each.quantities for each in groups])
        logs = np.log(quantities)
        centres = logs.mean(axis=0)
        n, n_quantities = quantities.shape
        design = np.zeros((n, n_quantities + 1, 2 * n_quantities + len(groups)))
        design[:, 0, 0] = 1
        for j in range(n_quantities):
            design[:, j + 1, 1 + 2 * j] = 1
            design[:, j + 1, 2 + 2 * j] = centres[j] - logs[:, j]
        group = np.repeat(np.arange(len(groups)), [len(each.losses) for each in groups])
        for g in range(1, len(groups)):
            design[group == g, 1:, 2 * n_quantities + g] = 1
        losses = np.log(np.concatenate([each.losses for each in groups]))
        return cls(groups[0].names, quantities, centres, design, losses)

    def predict(self, values: Floats) -> Floats:
        """The logarithms of losses (n,) at fitted values (P,)."""
        return np.asarray(np.logaddexp.reduce(self.design @ values, axis=1), dtype=np.float64)

    def objective(self, values: Floats, logs: Floats) -> tuple[float, Floats]:
        """1000 × the Huber loss of the errors of log L, and its gradient."""
        terms = self.design @ values
        predicted = np.logaddexp.reduce(terms, axis=1)
        errors = predicted - logs
        sizes = np.abs(errors)
        huber = np.where(sizes <= _DELTA, 0.5 * errors**2, _DELTA * (sizes - 0.5 * _DELTA))
        shares = np.exp(terms - predicted[:, None])
        slopes = np.clip(errors, -_DELTA, _DELTA)[:, None] * shares
        gradient = np.einsum("nk,nkp->p", slopes, self.design)
        return _SCALE * float(huber.sum()), _SCALE * gradient

    def solve(self) -> Floats:
        """The best values (P,) from a grid of exponents, with the other values by least squares there."""
        with _one_thread():
            starts = sorted(self._starts(), key=lambda start: self.objective(start, self.logs)[0])
            ends = [self.polish(start, self.logs) for start in starts[:_POLISHED]]
        return min(ends, key=lambda end: self.objective(end, self.logs)[0])

    def polish(self, start: Floats, logs: Floats) -> Floats:
        """The local best (P,) for losses whose logarithms are `logs`."""
        from scipy import optimize

        found = optimize.minimize(
            self.objective,
            start,
            (logs,),
            method="L-BFGS-B",
            jac=True,
            bounds=self._bounds(),
            options={"maxiter": 3000, "maxfun": 6000, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 20},
        )
        return np.asarray(found.x, dtype=np.float64)

    def law(self, values: Floats) -> PowerLaw:
        """The law of the first group at fitted values (P,)."""
        n_quantities = len(self.names)
        heights, exponents = values[1 : 2 * n_quantities : 2], values[2 : 2 * n_quantities + 1 : 2]
        coefficients = np.exp(heights + exponents * self.centres)
        return PowerLaw(
            self.names,
            math.exp(values[0]),
            tuple(float(each) for each in coefficients),
            tuple(float(each) for each in exponents),
        )

    def _bounds(self) -> list[tuple[float, float | None]]:
        low = float(self.logs.min())
        floor = (low + math.log(_NO_FLOOR), low)
        own: list[tuple[float, float | None]] = [(low - 30, low + 30), (0.0, _LARGEST_EXPONENT)]
        factors = [(-10.0, 10.0)] * (self.design.shape[2] - 2 * len(self.names) - 1)
        return [floor, *own * len(self.names), *factors]

    def _starts(self) -> Iterator[Floats]:
        from scipy import optimize

        losses = np.exp(self.logs)
        low = float(losses.min())
        for exponents in itertools.product(_EXPONENTS, repeat=len(self.names)):
            powers = np.exp(np.asarray(exponents) * (self.centres - np.log(self.quantities)))
            columns = np.column_stack([np.ones(len(losses)), powers])
            # Weighted so that errors of log L count.
            heights, _ = optimize.nnls(columns / losses[:, None], np.ones(len(losses)))
            heights = np.clip(heights, 1e-3 * low, None)
            start = np.zeros(self.design.shape[2])
            start[0] = math.log(min(heights[0], 0.999 * low))
            start[1 : 2 * len(exponents) : 2] = np.log(heights[1:])
            start[2 : 2 * len(exponents) + 1 : 2] = exponents
            yield start


def fit_power_law(measured: Measured) -> PowerLaw:
    """The law that fits the losses: Huber loss (δ = 0.001) of log L, by L-BFGS from a grid of starts.

    Source: Hoffmann et al. 2022 (arXiv:2203.15556), approach 3.
    """
    problem = FitProblem.of(measured)
    return problem.law(problem.solve())


def draw_refits(problem: FitProblem, values: Floats, n_draws: int, seed: int) -> Floats:
    """Refits (n_draws, P) of losses that residuals drawn anew with random signs would have given.

    The fit goes through about as many points as it has values. Their residuals of 0 are left out of the
    draws, because they would make the noise look smaller than it is.
    """
    predicted = problem.predict(values)
    residuals = np.sort(np.abs(problem.logs - predicted))[len(values) :]
    random = np.random.default_rng(seed)
    shape = (n_draws, len(predicted))
    noise = random.choice(residuals, shape) * random.choice((-1.0, 1.0), shape)
    with _one_thread():
        return np.array([problem.polish(values, predicted + each) for each in noise])


def list_symbols(laws: Sequence[PowerLaw]) -> dict[str, Floats]:
    """The values (n,) of every symbol over laws."""
    values = [each.to_mapping() for each in laws]
    return {symbol: np.array([each[symbol] for each in values]) for symbol in values[0]}


def _one_thread() -> AbstractContextManager[object]:
    """Threads of BLAS wait for each other far longer than so few numbers take."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
