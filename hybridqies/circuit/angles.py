"""The angles of gates: features, weights, constants and sums of them, and their evaluation."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from hybridqies.errors import CircuitError


@dataclass(frozen=True, slots=True)
class Feature:
    """An angle that is `scale` times a feature, or times the product of several, in radians.

    The order of the factors does not matter: `indices` are kept sorted.
    """

    indices: tuple[int, ...]
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", tuple(sorted(as_index(index) for index in self.indices)))
        object.__setattr__(self, "scale", as_number(self.scale))


@dataclass(frozen=True, slots=True)
class Weight:
    """An angle that is `scale` times a trainable weight, in radians; gates that name one index share it."""

    index: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", as_index(self.index))
        object.__setattr__(self, "scale", as_number(self.scale))


@dataclass(frozen=True, slots=True)
class Constant:
    """An angle that is fixed, in radians."""

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_number(self.value))


Term: TypeAlias = Feature | Weight | Constant


@dataclass(frozen=True, slots=True)
class Sum:
    """An angle that is a sum of at least two terms, as in (x0 - π)(x1 - π); make one with `add`."""

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        kinds = [type(term) for term in self.terms]
        if len(kinds) < 2 or {*kinds} - {Feature, Weight, Constant} or kinds.count(Constant) > 1:
            raise CircuitError(
                f"a sum of angles was given {self.terms}",
                expected="two or more features, weights and at most one constant",
            )


Angle: TypeAlias = Feature | Weight | Constant | Sum


def feature(*indices: int, scale: float = 1.0) -> Feature:
    """`scale` times the product of the features at `indices`."""
    return Feature(tuple(indices), scale)


def add(*angles: Angle | float) -> Angle:
    """The sum of angles: like terms are joined, zeros left out, and the order is always the same.

    >>> add(feature(0, scale=2.0), 0.5)
    """
    joined: dict[Any, Term] = {}
    for term in (term for angle in angles for term in terms(as_angle(angle))):
        key = _inputs(term)
        joined[key] = _scaled(term, size(joined[key]) + size(term)) if key in joined else term
    kept = [term for term in joined.values() if size(term)]
    kept.sort(key=_place)
    if len(kept) > 1:
        return Sum(tuple(kept))
    return kept[0] if kept else Constant(0.0)


def as_angle(given: Any) -> Angle:
    """`given` as an angle; a bare number is a constant in radians.

    Raises
    ------
    CircuitError: it is neither an angle nor a real number (a tensor, a string).
    """
    return given if isinstance(given, Feature | Weight | Constant | Sum) else Constant(given)


def as_number(given: Any) -> float:
    """`given` as a plain float; NumPy's scalars are numbers too, tensors and strings are not."""
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise CircuitError(
            f"an angle or scale was given as {type(given).__name__} {given!r}",
            expected="a number, a feature or a weight",
            todo="convert a tensor or a string with float(…)",
        )
    return float(given)


def as_index(given: Any) -> int:
    """`given` as a plain int; NumPy's integers are whole numbers too."""
    if isinstance(given, bool) or not isinstance(given, numbers.Integral):
        raise CircuitError(
            f"an index was given as {type(given).__name__} {given!r}", expected="a whole number"
        )
    return operator.index(given)


def terms(angle: Angle) -> tuple[Term, ...]:
    """The terms whose sum `angle` is; one unless it is a `Sum`."""
    return angle.terms if isinstance(angle, Sum) else (angle,)


def evaluate(angle: Angle, features: Callable[[int], Any], weights: Callable[[int], Any]) -> Any:
    """The value of `angle` in radians, from functions that give a feature and a weight by its index.

    Features and weights are anything that can be added and multiplied: numbers, columns of a batch,
    tensors that carry a gradient, a framework's symbols. A constant comes back as a plain float.
    """
    values = [_of_term(term, features, weights) for term in terms(angle)]
    return sum(values[1:], start=values[0])


def _of_term(term: Term, features: Callable[[int], Any], weights: Callable[[int], Any]) -> Any:
    match term:
        case Constant(value):
            return value
        case Weight(index, scale):
            return _times(scale, weights(index))
        case Feature(indices, scale):
            first, *others = indices
            return _times(scale, math.prod((features(index) for index in others), start=features(first)))


def _times(scale: float, value: Any) -> Any:
    return value if scale == 1.0 else scale * value


def uses(angle: Angle, kind: type[Term]) -> bool:
    """Whether a feature, a weight or a constant, whichever `kind` says, is among the terms of `angle`."""
    return any(isinstance(term, kind) for term in terms(angle))


def is_constant(angle: Angle) -> bool:
    """Whether `angle` depends on neither features nor weights."""
    return not (uses(angle, Feature) or uses(angle, Weight))


def scaled(angle: Angle, factor: float) -> Angle:
    """`factor` times `angle`."""
    if factor == 1.0:
        return angle
    return add(*(_scaled(term, factor * size(term)) for term in terms(angle)))


def size(term: Term) -> float:
    """The number that a term's inputs are multiplied by; a constant's value."""
    return term.value if isinstance(term, Constant) else term.scale


def _place(term: Term) -> tuple[int, int, tuple[int, ...]]:
    """Features stand first, longer products before shorter ones, then weights and the constant."""
    match term:
        case Feature(indices):
            return 0, -len(indices), indices
        case Weight(index):
            return 1, 0, (index,)
        case Constant():
            return 2, 0, ()


def _scaled(term: Term, number: float) -> Term:
    return Constant(number) if isinstance(term, Constant) else replace(term, scale=number)


def _inputs(term: Term) -> Any:
    match term:
        case Constant():
            return None
        case Weight(index):
            return index
        case Feature(indices):
            return indices


def to_list(angle: Angle) -> list[Any]:
    """The angle as JSON values; `from_list` gives it back."""
    match angle:
        case Feature(indices, scale):
            return ["feature", list(indices), scale]
        case Weight(index, scale):
            return ["weight", index, scale]
        case Constant(value):
            return ["constant", value]
        case Sum(terms):
            return ["sum", [to_list(term) for term in terms]]


def from_list(stored: Sequence[Any]) -> Angle:
    """The angle that `to_list` wrote.

    Raises
    ------
    CircuitError: `stored` is something else.
    """
    match list(stored):
        case ["sum", [*parts]]:
            return Sum(tuple(_term_from_list(part) for part in parts))
    return _term_from_list(stored)


def _term_from_list(stored: Sequence[Any]) -> Term:
    match list(stored):
        case ["feature", list(indices), float() | int() as scale]:
            return Feature(tuple(indices), scale)
        case ["weight", int(index), float() | int() as scale]:
            return Weight(index, scale)
        case ["constant", float() | int() as value]:
            return Constant(value)
    raise CircuitError(f"a stored angle {stored!r} cannot be read")


def find_indices(angles: Iterable[Angle], kind: type[Feature] | type[Weight]) -> set[int]:
    """The indices of the features, or of the weights, that `angles` name."""
    found: set[int] = set()
    for term in (term for angle in angles for term in terms(angle)):
        if isinstance(term, kind):
            found.update(term.indices if isinstance(term, Feature) else (term.index,))
    return found
