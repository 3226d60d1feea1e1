"""A data file as named columns of values, before texts and labels are picked from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Wanted:
    """The columns that have to be there, those that may be, and with `every` all that there are."""

    names: tuple[str, ...]
    optional: tuple[str, ...] = ()
    every: bool = False

    def choose(self, present: Sequence[str]) -> list[str]:
        """Those of the columns there are that are read, without repetition."""
        known = {*self.names, *self.optional}
        return [name for name in dict.fromkeys(present) if self.every or name in known]


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows of one source: values by column, and for messages the number of each row.

    `names` are all columns that the source has, `columns` those that were wanted. `unit` is what `numbers`
    count, "line" or "row". `all_text` says that the format has strings only (CSV). `remark` is what else
    was seen that may explain a missing column.
    """

    where: str
    unit: str = "row"
    names: Sequence[str] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    numbers: Sequence[int] = ()
    all_text: bool = False
    remark: str = ""

    def place(self, position: int) -> str:
        """The row at `position` in words, as in "train.csv, line 7"."""
        return f"{self.where}, {self.unit} {self.numbers[position]}"


Parser = Callable[[bytes, str, Wanted], Grid]
"""From a file's bytes and its name for messages to its grid; DataError for what is malformed."""
