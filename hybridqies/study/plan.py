"""What every study's plan has, whatever its trials train."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from hybridqies.errors import InputError
from hybridqies.options import to_mapping

if TYPE_CHECKING:
    from hybridqies.study.trials.kind import Source

MANY_SEEDS, LARGEST_SEED = 10_000, 2**32 - 1


@dataclass(frozen=True, slots=True)
class StudyPlan(ABC):
    """Everything that decides a study; each kind of study has a subclass with its fields and defaults.

    `reference` is the arm that others are compared with, `training` are settings of every training, and
    `options` settings by arm.
    """

    kind: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    reference: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._make_plain()
        check_listed("arms", self.arms)
        check_listed("seeds", self.seeds, 0, LARGEST_SEED, most=MANY_SEEDS)

    def _make_plain(self) -> None:
        """Python's own numbers and containers in place of NumPy's, so that a plan is JSON and TOML."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Mapping):
                object.__setattr__(self, each.name, as_plain(value, f"study option {each.name!r}"))
            elif isinstance(value, tuple) and not any(map(dataclasses.is_dataclass, value)):
                object.__setattr__(self, each.name, tuple(as_plain(value, f"study option {each.name!r}")))
        for name in ("options", "space"):
            for arm, inner in getattr(self, name, {}).items():
                if not isinstance(inner, Mapping):
                    raise InputError(
                        f"study option '{name}.{arm}' was given {inner!r}",
                        expected="a mapping of names to values",
                    )

    @property
    @abstractmethod
    def source(self) -> Source:
        """What every trial reads."""

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)


def as_plain(value: Any, what: str) -> Any:
    """`value` as JSON has it: NumPy's scalars become Python's, sequences become lists.

    Raises
    ------
    InputError: something that JSON cannot hold, such as a date or a number that is not finite.
    """
    if isinstance(value, Mapping):
        return {str(key): as_plain(each, f"{what} {key!r}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(each, what) for each in value]
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    is_finite = not isinstance(value, float) or math.isfinite(value)
    if not is_finite or not (value is None or isinstance(value, bool | int | float | str)):
        raise InputError(
            f"{what} was given {value!r}", expected="a finite number, a word, true, false or a list"
        )
    return value


def check_listed(
    what: str, given: Sequence[Any], low: float | None = None, high: float | None = None, *, most: int = 1_000
) -> None:
    """Refuses an empty or very long list, one that names something twice, and numbers out of bounds.

    Raises
    ------
    InputError: naming the list.
    """
    if len(given) > most:
        raise InputError(f"{len(given):,} {what} were given", expected=f"at most {most:,}")
    if not given or len(set(given)) < len(given):
        raise InputError(f"{what} were given as {list(given)}", expected="at least one, each once")
    if low is not None and high is not None and not all(low <= each <= high for each in given):
        raise InputError(f"{what} were given as {list(given)}", expected=f"{low:,} to {high:,}")
