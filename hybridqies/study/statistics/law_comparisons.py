"""Scaling laws of arms with bootstrap intervals, and what they say of one arm against a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import to_mapping
from hybridqies.study.statistics.power_laws import (
    SYMBOLS,
    FitProblem,
    Floats,
    Measured,
    PowerLaw,
    draw_refits,
    list_symbols,
)

LEVEL = 0.05
# A coefficient whose interval spans a larger factor is not identified.
_SPAN = 2.0
_WORDS = {"E": "E", "alpha": "α", "beta": "β", "a_opt": "a_opt", "A": "A", "B": "B"}
_CURVE_POINTS = 40


@dataclass(frozen=True, slots=True)
class Estimate:
    """A fitted value with its bootstrap interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: Floats, level: float = LEVEL) -> Estimate:
        """With the percentile interval of its refits (n_draws,)."""
        low, high = np.quantile(draws, (level / 2, 1 - level / 2))
        return cls(value, float(low), float(high))


@dataclass(frozen=True, slots=True)
class ArmLaw:
    """The law of one arm. `values` are by symbol, `error` is the median error of log L.

    `curve` has the law over the range of sizes (or tokens), at the largest of the other quantity.
    """

    arm: str
    measured: Measured
    law: PowerLaw
    values: Mapping[str, Estimate]
    error: float
    curve: tuple[tuple[float, Estimate], ...]

    def notes(self) -> list[str]:
        """What the data do not say, as sentences."""
        notes = [
            f"{_WORDS[symbol]} is not identified: values from {each.low:.3g} to {each.high:.3g} fit as well"
            for name in self.law.names
            for symbol, each in [(SYMBOLS[name][0], self.values[SYMBOLS[name][0]])]
            if each.high > _SPAN * each.low
        ]
        for name in self.law.names:
            symbol = SYMBOLS[name][1]
            if self.values[symbol].low < 0.01:
                notes.append(f"the loss was not shown to fall with {name}: {_WORDS[symbol]} may be 0")
        floor = self.values["E"]
        if floor.low < 0.01 * float(self.measured.losses.min()):
            notes.append(f"E is not told from 0: values up to {floor.high:.3g} fit as well")
        return notes

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values. A point has its quantities, the measured and the fitted loss."""
        at = self.measured.quantities
        return {
            "arm": self.arm,
            "law": to_mapping(self.law),
            "values": to_mapping_of(self.values),
            "error": self.error,
            "notes": self.notes(),
            "points": np.column_stack([at, self.measured.losses, self.law.losses(at)]).tolist(),
            "curve": [[at, each.value, each.low, each.high] for at, each in self.curve],
        }


@dataclass(frozen=True, slots=True)
class LawComparison:
    """An arm's law against that of the reference: differences by symbol, with intervals for the family.

    `offset` is the factor on L − E, from a fit of both with common E and exponents.
    """

    arm: str
    reference: str
    family: int
    names: tuple[str, ...]
    differences: Mapping[str, Estimate]
    offset: Estimate

    @property
    def exponents_differ(self) -> bool:
        """Whether the interval of a difference in exponents leaves 0 out."""
        return any(_excludes(self.differences[SYMBOLS[name][1]], 0.0) for name in self.names)

    @property
    def offset_differs(self) -> bool:
        """Whether the interval of the factor leaves 1 out."""
        return _excludes(self.offset, 1.0)

    def statement(self) -> str:
        """Whether exponents and offset differ, in words."""
        exponents = "; ".join(self._about_exponent(name) for name in self.names)
        offset = self.offset
        differs = "the offset differs" if self.offset_differs else "no difference in offset was shown"
        caution = " (exponents differ, so this factor changes with scale)" if self.exponents_differ else ""
        return (
            f"{self.arm} against {self.reference}: {exponents}; with E and exponents in common, L − E is "
            f"{offset.value:.3g} times that of {self.reference} ({offset.low:.3g} to {offset.high:.3g}): "
            f"{differs}{caution}; {_percent(1 - LEVEL / self.family)} % bootstrap intervals"
        )

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values, with verdicts and statement."""
        return {
            "arm": self.arm,
            "reference": self.reference,
            "family": self.family,
            "differences": to_mapping_of(self.differences),
            "offset": to_mapping(self.offset),
            "exponents_differ": self.exponents_differ,
            "offset_differs": self.offset_differs,
            "statement": self.statement(),
        }

    def _about_exponent(self, name: str) -> str:
        symbol = SYMBOLS[name][1]
        found = self.differences[symbol]
        shown = f"{_WORDS[symbol]} {_signed(found.value)}, {_signed(found.low)} to {_signed(found.high)}"
        if not _excludes(found, 0.0):
            return f"no difference in the exponent of {name} was shown ({shown})"
        return f"the exponent of {name} is {'larger' if found.value > 0 else 'smaller'} ({shown})"


@dataclass(frozen=True, slots=True)
class Scaling:
    """The laws of all arms, and comparisons with the first or the named one."""

    n_draws: int
    laws: tuple[ArmLaw, ...]
    comparisons: tuple[LawComparison, ...]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "quantities": list(self.laws[0].law.names),
            "draws": self.n_draws,
            "arms": [each.to_mapping() for each in self.laws],
            "comparisons": [each.to_mapping() for each in self.comparisons],
        }


def to_mapping_of(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Estimates by name as JSON values."""
    return {name: to_mapping(each) for name, each in estimates.items()}


def fit_scaling(
    arms: Mapping[str, Measured], reference: str | None = None, *, n_draws: int = 500, seed: int = 0
) -> Scaling:
    """Fits the law of every arm, with intervals from `n_draws` refits, and compares each with `reference`.

    Without a name the first arm is the reference.

    Raises
    ------
    UnknownNameError: no arm is called `reference`.
    InputError: fewer than 50 draws.
    """
    if n_draws < 50:
        raise InputError(f"a bootstrap was given {n_draws} draws", expected="at least 50")
    first = next(iter(arms)) if reference is None else reference
    if first not in arms:
        raise UnknownNameError("reference arm", first, arms)
    drawn = {arm: _draw(measured, n_draws, seed + at) for at, (arm, measured) in enumerate(arms.items())}
    laws = tuple(_arm_law(arm, arms[arm], *each) for arm, each in drawn.items())
    others = [arm for arm in arms if arm != first]
    comparisons = [
        _compare(arm, first, len(others), drawn, (arms[first], arms[arm]), n_draws, seed) for arm in others
    ]
    return Scaling(n_draws, laws, tuple(comparisons))


_Drawn = tuple[PowerLaw, Sequence[PowerLaw]]


def _draw(measured: Measured, n_draws: int, seed: int) -> _Drawn:
    problem = FitProblem.of(measured)
    values = problem.solve()
    return problem.law(values), [problem.law(each) for each in draw_refits(problem, values, n_draws, seed)]


def _arm_law(arm: str, measured: Measured, law: PowerLaw, refits: Sequence[PowerLaw]) -> ArmLaw:
    draws = list_symbols(refits)
    values = {symbol: Estimate.of(value, draws[symbol]) for symbol, value in law.to_mapping().items()}
    errors = np.abs(np.log(law.losses(measured.quantities) / measured.losses))
    return ArmLaw(arm, measured, law, values, float(np.median(errors)), _curve(measured, law, refits))


def _curve(
    measured: Measured, law: PowerLaw, refits: Sequence[PowerLaw]
) -> tuple[tuple[float, Estimate], ...]:
    low, high = measured.quantities.min(axis=0), measured.quantities.max(axis=0)
    along = np.geomspace(low[0], high[0], _CURVE_POINTS)
    at = np.column_stack([along, *(np.full(_CURVE_POINTS, value) for value in high[1:])])
    draws = np.array([each.losses(at) for each in refits])
    return tuple(
        (float(where), Estimate.of(float(value), draws[:, place]))
        for place, (where, value) in enumerate(zip(along, law.losses(at), strict=True))
    )


def _compare(
    arm: str,
    reference: str,
    family: int,
    drawn: Mapping[str, _Drawn],
    measured: tuple[Measured, Measured],
    n_draws: int,
    seed: int,
) -> LawComparison:
    level = LEVEL / family
    (law, refits), (other, other_refits) = drawn[arm], drawn[reference]
    own, its = law.to_mapping(), other.to_mapping()
    draws, its_draws = list_symbols(refits), list_symbols(other_refits)
    symbols = [symbol for symbol in own if symbol not in ("A", "B")]
    differences = {
        symbol: Estimate.of(own[symbol] - its[symbol], draws[symbol] - its_draws[symbol], level)
        for symbol in symbols
    }
    problem = FitProblem.of(*measured)
    values = problem.solve()
    factors = np.exp(draw_refits(problem, values, n_draws, seed)[:, -1])
    offset = Estimate.of(math.exp(values[-1]), factors, level)
    return LawComparison(arm, reference, family, law.names, differences, offset)


def _excludes(found: Estimate, value: float) -> bool:
    return not found.low <= value <= found.high


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.4g}"
