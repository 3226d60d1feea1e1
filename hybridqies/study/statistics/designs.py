"""Two-level designs for screening: which settings are run, and which effects they cannot tell apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError, MissingExtraError
from hybridqies.options import to_mapping

Signs = NDArray[np.int64]

_NUMERALS = {3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII", 8: "VIII"}


@dataclass(frozen=True, slots=True)
class Factor:
    """Something that a screen varies between two levels of any one type; `centre` is a level between them."""

    name: str
    low: Any
    high: Any
    centre: Any = None


@dataclass(frozen=True, slots=True)
class Alias:
    """A two-factor interaction that adds `coefficient` times itself to a main effect."""

    factors: tuple[str, str]
    coefficient: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """A column of signs, one a run, that no factor stands in: it shows interactions, or noise alone."""

    name: str
    signs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """Runs of a two-level design: `signs` has a row a run and −1 (low) or +1 (high) for each factor.

    With `has_centre` one more run follows, every factor at its centre. `spare` are the contrasts
    orthogonal to all factors, so that factors and spare contrasts are one fewer than runs.
    """

    kind: str
    factors: tuple[Factor, ...]
    signs: tuple[tuple[int, ...], ...]
    spare: tuple[Contrast, ...]
    has_centre: bool = False

    def settings(self) -> tuple[dict[str, Any], ...]:
        """The level of each factor by name, a mapping for each run; the centre comes last."""
        runs = [
            {
                each.name: each.high if sign > 0 else each.low
                for each, sign in zip(self.factors, row, strict=True)
            }
            for row in self.signs
        ]
        if self.has_centre:
            runs.append({each.name: each.centre for each in self.factors})
        return tuple(runs)

    def aliases(self) -> dict[str, tuple[Alias, ...]]:
        """For each factor the two-factor interactions that its main effect holds, in part or wholly."""
        signs, names = np.array(self.signs), [each.name for each in self.factors]
        found = {}
        for at, name in enumerate(names):
            pairs = itertools.combinations([k for k in range(len(names)) if k != at], 2)
            shares = [((a, b), float((signs[:, at] * signs[:, a] * signs[:, b]).mean())) for a, b in pairs]
            found[name] = tuple(Alias((names[a], names[b]), share) for (a, b), share in shares if share)
        return found

    def resolution(self) -> int | None:
        """Length of the shortest product of factors that is not balanced; None where every factor is free.

        For a regular fraction this is the length of its shortest defining word; in a Plackett-Burman
        design the three factors of such a product are confounded only in part.
        """
        signs = np.array(self.signs)
        n_factors = signs.shape[1]
        if len(signs) == 2**n_factors:
            return None
        for length in range(3, n_factors + 1):
            for chosen in itertools.combinations(range(n_factors), length):
                if signs[:, chosen].prod(axis=1).sum():
                    return length
        return None

    def statement(self) -> str:
        """The design, its resolution and its aliasing in words."""
        resolution = self.resolution()
        size = f"{len(self.factors)} factors in {len(self.signs)} runs"
        if self.has_centre:
            size += " and a centre run"
        if resolution is None:
            return f"{self.kind}, {size}: no effect is confounded with another"
        return f"{self.kind}, {size}, resolution {_NUMERALS.get(resolution, resolution)}: {self._aliasing()}"

    def _aliasing(self) -> str:
        aliases = self.aliases()
        sizes = {abs(alias.coefficient) for found in aliases.values() for alias in found}
        if not sizes:
            return "no main effect is confounded with a two-factor interaction" + self._interactions_aliased()
        if max(sizes) < 1:
            return (
                f"each main effect also holds up to ±{max(sizes):.3g} of every two-factor interaction"
                " that the factor is not part of"
            )
        return "; ".join(f"{name} is {_confounded(found)}" for name, found in aliases.items())

    def _interactions_aliased(self) -> str:
        sums = [each.name for each in self.spare if each.name.count("×") > 1]
        return f"; these are with each other: {'; '.join(sums)}" if sums else ""

    def to_mapping(self) -> dict[str, Any]:
        """The design as JSON values, with resolution, aliases and statement."""
        return {
            "kind": self.kind,
            "factors": [to_mapping(each) for each in self.factors],
            "signs": [list(row) for row in self.signs],
            "has_centre": self.has_centre,
            "resolution": self.resolution(),
            "aliases": {
                name: [to_mapping(alias) for alias in found] for name, found in self.aliases().items()
            },
            "statement": self.statement(),
        }


def plackett_burman(factors: Sequence[Factor], *, centre: bool = False) -> Design:
    """The smallest Plackett-Burman design (Biometrika 33, 1946) that has a column for every factor.

    Runs are 4, 8, 12, 16, 20, 24, 32, …; where they are a power of two the design is a regular fraction.

    Raises
    ------
    InputError: fewer than two factors, one twice, equal levels, or a centre that a factor doesn't have.
    """
    _check(factors, centre)
    n_factors = len(factors)
    # The library builds the designs whose number of runs is 2^e, 12·2^e or 20·2^e.
    runs = next(runs for runs in itertools.count(4 * (n_factors // 4 + 1), 4) if _odd_part(runs) in (1, 3, 5))
    columns = _library().pbdesign(runs - 1).astype(np.int64)
    if _odd_part(runs) == 1:
        spare = _interactions(columns[:, :n_factors], [each.name for each in factors], columns[:, n_factors:])
    else:
        spare = tuple(
            Contrast(f"spare {at}", tuple(map(int, column)))
            for at, column in enumerate(columns.T[n_factors:], 1)
        )
    return Design("Plackett-Burman design", tuple(factors), _rows(columns[:, :n_factors]), spare, centre)


def fractional_factorial(
    factors: Sequence[Factor], *, resolution: int = 4, generators: str | None = None, centre: bool = False
) -> Design:
    """A regular two-level fraction: of the fewest runs with `resolution`, or as `generators` say.

    `generators` has a word for each factor: a, b, c, … for those that vary freely, and products of
    those letters, with a sign where wanted, for the others ("a b c -abc").

    Raises
    ------
    InputError: as `plackett_burman`; or no such fraction, or generators that confound main effects.
    """
    _check(factors, centre)
    try:
        built = (
            _library().fracfact_by_res(len(factors), resolution)
            if generators is None
            else _library().fracfact(generators)
        )
    except ValueError as error:
        raise InputError(
            f"no fraction has {len(factors)} factors, {generators or f'resolution {resolution}'} ({error})",
            expected="a resolution from 3, or a word a factor as in 'a b c abc'",
        ) from None
    signs = built.astype(np.int64)
    if signs.shape[1] != len(factors):
        raise InputError(
            f"generators {generators!r} make {signs.shape[1]} columns",
            expected=f"{len(factors)}, one a factor",
        )
    balanced = np.hstack([np.ones((len(signs), 1), dtype=np.int64), signs])
    if not np.array_equal(balanced.T @ balanced, len(signs) * np.eye(len(factors) + 1, dtype=np.int64)):
        raise InputError(
            f"generators {generators!r} confound main effects",
            expected="another product of letters for each factor",
        )
    kind = "Full factorial" if len(signs) == 2 ** len(factors) else "Regular fraction"
    names = [each.name for each in factors]
    return Design(kind, tuple(factors), _rows(signs), _interactions(signs, names, _remaining(signs)), centre)


def _check(factors: Sequence[Factor], centre: bool) -> None:
    names = [each.name for each in factors]
    if len(set(names)) < max(2, len(names)):
        raise InputError(
            f"a screen was given the factors {', '.join(names) or 'none'}", expected="two or more, each once"
        )
    for each in factors:
        if each.low == each.high:
            raise InputError(
                f"factor {each.name!r} has {each.low!r} as both levels", expected="two that differ"
            )
        if centre and each.centre is None:
            raise InputError(
                f"factor {each.name!r} has no centre",
                expected="one for every factor",
                todo="give it, or screen without centre",
            )


def _library() -> ModuleType:
    try:
        import pydoe
    except ImportError:
        raise MissingExtraError("a screening design", "study") from None
    library: ModuleType = pydoe
    return library


def _odd_part(number: int) -> int:
    return number // (number & -number)


def _rows(signs: Signs) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, row)) for row in signs)


def _remaining(signs: Signs) -> Signs:
    """The columns of a regular fraction that are no factor's: products of its free factors."""
    group = np.ones((len(signs), 1), dtype=np.int64)
    for column in signs.T:
        if len(group.T) < len(signs) and np.abs(group.T @ column).max() != len(signs):
            group = np.hstack([group, group * column[:, None]])
    taken = np.abs(group.T @ signs).max(axis=1) == len(signs)
    taken[0] = True
    return group[:, ~taken]


def _interactions(signs: Signs, names: Sequence[str], spare: Signs) -> tuple[Contrast, ...]:
    """Spare columns of a regular fraction, each named by the interactions of two factors that it measures."""
    named = []
    for column in spare.T:
        words = []
        for a, b in itertools.combinations(range(len(names)), 2):
            share = int((column * signs[:, a] * signs[:, b]).sum()) // len(signs)
            if share:
                words.append((share, f"{names[a]} × {names[b]}"))
        named.append(Contrast(_summed(words) or "higher interactions", tuple(map(int, column))))
    return tuple(named)


def _summed(words: Sequence[tuple[int, str]]) -> str:
    """Signed terms as a sum, "a × b − c × d"."""
    text = " ".join(f"{'+' if share > 0 else '−'} {word}" for share, word in words)
    return "−" + text.removeprefix("− ") if text.startswith("−") else text.removeprefix("+ ")


def _confounded(found: Sequence[Alias]) -> str:
    whole = [alias for alias in found if abs(alias.coefficient) == 1]
    partly = [abs(alias.coefficient) for alias in found if abs(alias.coefficient) < 1]
    parts = []
    if whole:
        parts.append(_summed([(int(alias.coefficient), " × ".join(alias.factors)) for alias in whole]))
    if partly:
        parts.append(f"up to ±{max(partly):.3g} of {len(partly)} other two-factor interactions")
    return f"confounded with {' and '.join(parts) or 'no two-factor interaction'}"
