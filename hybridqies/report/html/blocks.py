"""What a section is made of: figures, sentences, tables, plots, pictures, programs. Only text, no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table as RichTable


_LONG = 60


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """Numbers that stand above everything else, each as (value, what it is)."""

    figures: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences."""

    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True, slots=True)
class Listing:
    """Sentences, one below the other; with a title they open when they are asked for."""

    items: tuple[str, ...]
    title: str = ""
    kind: ClassVar[str] = "listing"


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be copied as it is: a command, a file. A `folded` one opens when it is asked for."""

    caption: str
    text: str
    folded: bool = False
    kind: ClassVar[str] = "code"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they are written; `name` is that of its file.

    `shades` colour the cells that are not in the first column: a row of shares from 0 to 1 for each row.
    A `folded` table opens when it is asked for.
    """

    name: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    shades: tuple[tuple[float, ...], ...] = ()
    folded: bool = False
    kind: ClassVar[str] = "table"

    @classmethod
    def of(cls, name: str, table: RichTable) -> Table:
        """What a table of the terminal says."""
        headings = tuple(_join_lines(str(column.header)) for column in table.columns)
        numeric = tuple(column.justify == "right" for column in table.columns)
        columns = [[str(cell) for cell in column.cells] for column in table.columns]
        return cls(name, str(table.title or ""), headings, tuple(zip(*columns, strict=True)), numeric)

    @property
    def has_texts(self) -> bool:
        """Whether its rows are named by whole texts."""
        return any(len(row[0]) > _LONG for row in self.rows)

    def with_column(self, after: str, heading: str, cells: Sequence[str]) -> Table:
        """The same with one column of numbers more, behind the one with the heading `after`."""
        at = self.headings.index(after) + 1
        return replace(
            self,
            headings=_insert(self.headings, at, heading),
            rows=tuple(_insert(row, at, cell) for row, cell in zip(self.rows, cells, strict=True)),
            numeric=(*self.numeric[:at], True, *self.numeric[at:]),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Tables that open together when they are asked for."""

    title: str
    tables: tuple[Table, ...]
    kind: ClassVar[str] = "group"


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing that has no numbers to look up; `text` says what it shows to those who can't see it."""

    name: str
    caption: str
    text: str
    figure: Figure
    kind: ClassVar[str] = "picture"


def _join_lines(heading: str) -> str:
    return heading.replace("-\n", "").replace("\n", " ")


def _insert(cells: tuple[str, ...], at: int, cell: str) -> tuple[str, ...]:
    return (*cells[:at], cell, *cells[at:])
