"""Search over options: spaces, and the candidates of a budget."""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridqies.errors import InputError, MissingExtraError
from hybridqies.options import from_mapping, to_mapping

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Choices:
    """A finite set of values."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        for value in self.values:
            is_finite = not isinstance(value, float) or math.isfinite(value)
            if not is_finite or not isinstance(value, bool | int | float | str):
                raise InputError(f"{value!r} was given to choose", expected="numbers, words, true or false")
        if len(set(self.values)) < 2:
            raise InputError(f"{list(self.values)} was given to choose from", expected="at least two values")


@dataclass(frozen=True, slots=True)
class Interval:
    """Every number from `low` to `high`, even in its logarithm with `log`."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise InputError(
                f"an interval from {self.low} to {self.high} was to be searched",
                expected="low < high, and above 0 for a logarithmic one",
            )


Space = Mapping[str, Choices | Interval]


def parse_space(given: Mapping[str, Any], what: str) -> dict[str, Choices | Interval]:
    """A space from TOML or JSON values: a list of values, or a table of low, high and log.

    Raises
    ------
    InputError: neither of the two, or an empty one.
    """
    return {name: _parse(value, f"{what} {name!r}") for name, value in given.items()}


def plain_space(space: Space) -> dict[str, Any]:
    """The space as JSON values; `parse_space` gives it back."""
    return {
        name: list(each.values) if isinstance(each, Choices) else to_mapping(each)
        for name, each in space.items()
    }


def _parse(value: Any, what: str) -> Choices | Interval:
    if isinstance(value, list | tuple):
        return Choices(tuple(value))
    if isinstance(value, Mapping):
        return from_mapping(Interval, value, what=what)
    raise InputError(f"{what} was given {value!r}", expected="a list of values, or low, high and log")


def check_searchable(budget: int) -> None:
    """Refuses a budget below 1, or a search without optuna.

    Raises
    ------
    InputError: a budget below 1.
    MissingExtraError: a search is wanted and optuna is not installed.
    """
    if budget < 1:
        raise InputError(f"a search budget of {budget} was given", expected="1 (the defaults) or more")
    if budget > 1 and importlib.util.find_spec("optuna") is None:
        raise MissingExtraError(f"a search budget of {budget}", "study")


class Search:
    """The candidates of one arm and seed: first the options as they are, then what optuna proposes.

    Akiba, Sano, Yanase, Ohta, Koyama, "Optuna", KDD 2019, arXiv:1907.10902; tree-structured Parzen
    estimators after ten random candidates.
    """

    def __init__(self, space: Space, budget: int, seed: int) -> None:
        self.budget, self.left = budget, budget - 1
        self._distributions: dict[str, BaseDistribution] = {}
        if self.left:
            import optuna

            with _quiet():
                sampler = optuna.samplers.TPESampler(seed=seed)
                self._study = optuna.create_study(direction="maximize", sampler=sampler)
            self._distributions = {name: _distribution(each) for name, each in space.items()}

    def candidates(self) -> Iterator[Proposal]:
        """Call `tell` on each before asking for the next."""
        yield Proposal({}, None, None)
        for _ in range(self.left):
            asked = self._study.ask(self._distributions)
            yield Proposal(dict(asked.params), self._study, asked.number)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One candidate's options, beside those that are fixed."""

    options: dict[str, Value]
    study: Any
    number: int | None

    def tell(self, score: float | None) -> None:
        """Its score on validation; None when it could not be trained."""
        if self.number is None:
            return
        import optuna

        state = optuna.trial.TrialState.FAIL if score is None else None
        with _quiet():
            self.study.tell(self.number, score, state=state)


def _distribution(space: Choices | Interval) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(space, Choices):
        return CategoricalDistribution(space.values)
    return FloatDistribution(space.low, space.high, log=space.log)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences optuna, which logs to stderr, where progress is shown; restores its level afterwards."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)
