"""A plot before it is drawn: series of points on two axes, and the table of its numbers."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from hybridqies.report.html.blocks import Code, Group, KeyFigures, Listing, Paragraph, Picture, Table

GREY = -1
"""The style of what is only there for comparison: a line of zero, a diagonal."""


class Shape(enum.Enum):
    """How a series is drawn: a line through its points, the points alone, or a level line at its value."""

    LINE = "line"
    DOTS = "dots"
    LEVEL = "level"


@dataclass(frozen=True, slots=True)
class Axis:
    """What is along one side. `names` are written in place of 0, 1, 2, …, from the top or the left.

    A `whole` axis has ticks at whole numbers alone.
    """

    label: str
    log: bool = False
    whole: bool = False
    names: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Points with one name and style; a LEVEL has one point.

    `low` and `high` are ends of intervals, along x where y has names, along y elsewhere. They are empty, or
    as long as `x`, with None where a point has no interval. `style` is a place in the palette, or GREY.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    shape: Shape = Shape.LINE
    style: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """Series on two axes. `name` is that of its files; `text` tells in words what it shows."""

    name: str
    caption: str
    text: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    kind: ClassVar[str] = "plot"

    @property
    def has_intervals(self) -> bool:
        """Whether any point has one."""
        return any(each.low for each in self.series)

    def numbers(self) -> Table:
        """Every point as a row."""
        noted = any(each.notes for each in self.series)
        headings = ["series", *(["of"] if noted else []), self.x.label, self.y.label]
        ends = ["low", "high"] if self.has_intervals else []
        words = [
            True,
            *([True] if noted else []),
            bool(self.x.names),
            bool(self.y.names),
            *(False for _ in ends),
        ]
        rows = tuple(row for each in self.series for row in self._rows(each, noted))
        return Table(
            f"{self.name}-numbers",
            self.caption,
            (*headings, *ends),
            rows,
            tuple(not word for word in words),
            folded=True,
        )

    def _rows(self, series: Series, noted: bool) -> Iterator[tuple[str, ...]]:
        for at, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
            note = [series.notes[at] if series.notes else ""] if noted else []
            along = "all" if series.shape is Shape.LEVEL else write(self.x, x)
            ends = [_bound(bounds, at) for bounds in (series.low, series.high)] if self.has_intervals else []
            yield (series.name, *note, along, write(self.y, y), *ends)


Block = KeyFigures | Paragraph | Listing | Code | Table | Group | Picture | Plot
"""What sections are made of."""


def write(axis: Axis, value: float) -> str:
    """A value as its axis names it."""
    return axis.names[int(value)] if axis.names else f"{value:.6g}"


def _bound(bounds: tuple[float | None, ...], at: int) -> str:
    bound = bounds[at] if bounds else None
    return "" if bound is None else f"{bound:.6g}"
