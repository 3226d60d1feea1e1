"""Texts and labels out of data files: which columns are read, and what every row must hold."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hybridqies import defaults
from hybridqies.errors import DataError, nearest
from hybridqies.files import expand_home
from hybridqies.text.checks import MAX_LABEL, DataWarning, fault_of_label
from hybridqies.text.delimited import decode
from hybridqies.text.entries import PAIR_COLUMN, Entry, are_pairs, fault_of_entry
from hybridqies.text.formats import FORMATS, ending_of, parse
from hybridqies.text.grids import Grid, Wanted

Label = str | int | float | bool

AUTO_PAIRS, NO_PAIRS = defaults.PAIR_COLUMN, "none"
"""In the place of a column's name: `text_pair` is read where it is there, or no second texts are."""


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are read; all others are left alone. Without `label` only texts are.

    `pair` is the column of second texts, `AUTO_PAIRS` or `NO_PAIRS`. With `drop_empty` rows without a text,
    or without one of two, are left out, with a warning that counts them.
    """

    text: str = "text"
    label: str | None = "label"
    pair: str = AUTO_PAIRS
    drop_empty: bool = False

    @property
    def enough(self) -> str:
        """What a file has to hold at least."""
        return "at least one text" if self.label is None else "at least one row for each of two labels"

    @property
    def needed(self) -> dict[str, str]:
        """The names of the columns that have to be there, by role."""
        pair = None if self.pair in (AUTO_PAIRS, NO_PAIRS) else self.pair
        named = {"text": self.text, "pair": pair, "label": self.label}
        return {role: name for role, name in named.items() if name is not None}

    @property
    def optional(self) -> dict[str, str]:
        """The names of the columns that are read where they are there, by role."""
        is_open = self.pair == AUTO_PAIRS and PAIR_COLUMN not in (self.text, self.label)
        return {"pair": PAIR_COLUMN} if is_open else {}

    @property
    def wanted(self) -> Wanted:
        """The columns that are read."""
        return Wanted(tuple(self.needed.values()), tuple(self.optional.values()))

    def find(self, present: Iterable[str], where: str, remark: str = "") -> dict[str, str]:
        """The names of the columns to read, by role; `remark` is what else was seen.

        Raises
        ------
        DataError: a column that isn't there, or is there twice, or has two roles; it names the others.
        """
        names = list(present)
        self._check_roles()
        for role, wanted in self.needed.items():
            if wanted not in names:
                close = nearest(wanted, names)
                todo = f"did you mean {close!r}? " if close else ""
                raise DataError(
                    f"{where} has no column {wanted!r}",
                    expected=f"a {role} column out of: {_show_names(names)}",
                    todo=todo + (remark or f"give the name of its {role} column"),
                )
        found = self.needed | {role: name for role, name in self.optional.items() if name in names}
        for name in found.values():
            if names.count(name) > 1:
                raise DataError(f"{where} has {names.count(name)} columns named {name!r}", expected="one")
        return found

    def _check_roles(self) -> None:
        roles: dict[str, str] = {}
        for role, name in self.needed.items():
            if name in roles:
                raise DataError(
                    f"{name!r} was given as {roles[name]} and as {role} column", expected="different columns"
                )
            roles[name] = role


@dataclass(frozen=True)
class Rows:
    """Texts (or pairs) and labels as they stand in one source, with the number of each for messages.

    There are as many labels as texts, or none where only texts were asked for.
    `labels_are_text` says that the format has only strings (CSV), so that labels which all read as numbers
    may become numbers.
    """

    where: str
    unit: str
    numbers: Sequence[int]
    texts: Sequence[Entry]
    labels: Sequence[Label]
    labels_are_text: bool = False

    def place(self, position: int) -> str:
        """The row at `position` in words, as in "train.csv, line 7"."""
        return f"{self.where}, {self.unit} {self.numbers[position]}"


@dataclass(frozen=True)
class Table:
    """Texts or pairs to predict for, and the other columns of their file, row by row."""

    texts: tuple[Entry, ...]
    others: dict[str, tuple[Any, ...]] = field(default_factory=dict)


def read_file(path: Path, columns: Columns) -> Rows:
    """The rows of one file.

    Raises
    ------
    DataError: unknown extension, not UTF-8, malformed, empty, no such column, a row without text or label.
    MissingExtraError: a format whose package is not installed.
    """
    _check_ending(path)
    return rows_of(parse(_content(path), path, columns.wanted), columns)


def read_table(
    path: str | Path,
    text_column: str = "text",
    *,
    pair_column: str = defaults.PAIR_COLUMN,
    drop_empty: bool = False,
) -> Table:
    """The texts or pairs of one file without labels, and its other columns; the lines of a .txt are texts.

    `pair_column` is as in `load_dataset`.

    Raises
    ------
    DataError: unknown extension, not UTF-8, malformed, empty, no such column, a row without text.
    MissingExtraError: a format whose package is not installed.
    """
    file = expand_home(path)
    if file.suffix.lower() == ".txt":
        if pair_column not in (AUTO_PAIRS, NO_PAIRS):
            raise DataError(
                f"{file} has lines and no columns, and the pair column {pair_column!r} was to be read",
                expected="a file with columns, such as a .csv",
            )
        return Table(read_lines(_content(file), str(file), drop_empty))
    _check_ending(file, ".txt")
    columns = Columns(text_column, None, pair_column, drop_empty)
    grid = parse(_content(file), file, replace(columns.wanted, every=True))
    rows = rows_of(grid, columns)
    if len(set(grid.names)) < len(grid.names):
        twice = next(name for name in grid.names if list(grid.names).count(name) > 1)
        raise DataError(f"{file} has several columns named {twice!r}", expected="one of each name")
    kept, read = set(rows.numbers), columns.find(grid.names, grid.where).values()
    return Table(
        tuple(rows.texts),
        {
            name: tuple(value for number, value in zip(grid.numbers, values, strict=True) if number in kept)
            for name, values in grid.columns.items()
            if name not in read
        },
    )


def read_lines(content: bytes, where: str, drop_empty: bool = False) -> tuple[str, ...]:
    """One text a line; blank lines at the end don't count.

    Raises
    ------
    DataError: not UTF-8, nothing but blank lines, or a blank line among the others without `drop_empty`.
    """
    lines = [line.removesuffix("\r") for line in decode(content, where).split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{where} is empty", expected="at least one text")
    rows = Rows(where, "line", range(1, len(lines) + 1), lines, [])
    return tuple(map(str, check_rows(rows, drop_empty).texts))


def rows_of(grid: Grid, columns: Columns) -> Rows:
    """The texts, or pairs of texts, and the labels of a grid.

    Raises
    ------
    DataError: no such column, no rows, or a row without a usable text or label.
    """
    if not grid.names:
        raise DataError(f"{grid.where} is empty", expected=columns.enough)
    found = columns.find(grid.names, grid.where, grid.remark)
    if not len(grid.numbers):
        raise DataError(f"{grid.where} has a header and no rows", expected=columns.enough)
    texts = grid.columns[found["text"]]
    if "pair" in found:
        texts = list(zip(texts, grid.columns[found["pair"]], strict=True))
    labels = grid.columns[found["label"]] if "label" in found else []
    rows = Rows(grid.where, grid.unit, grid.numbers, texts, labels, grid.all_text)
    return check_rows(rows, columns.drop_empty)


def check_rows(rows: Rows, drop_empty: bool = False) -> Rows:
    """The rows, when all texts and labels are usable; with `drop_empty` those that have their texts.

    Raises
    ------
    DataError: the place of the first text or label that is not usable.
    """
    if drop_empty:
        rows = _drop_empty(rows)
    for position, text in enumerate(rows.texts):
        fault = fault_of_entry(_fill(text))
        if not fault and rows.labels:
            fault = fault_of_label(rows.labels[position])
        if fault:
            texts = "two texts" if are_pairs(rows.texts) else "a text"
            with_label = (
                f" and a label (text of at most {MAX_LABEL:,} characters, or a 64-bit integer)"
                if rows.labels
                else ""
            )
            leave_out = ", or leave such rows out (--drop-empty)" if fault.endswith("text is empty") else ""
            raise DataError(
                f"{rows.place(position)}: {fault}",
                expected=f"{texts}{with_label} in every row",
                todo=f"correct or remove the row{leave_out}",
            )
    return rows


def _drop_empty(rows: Rows) -> Rows:
    """The rows that have a text, or both of a pair; a warning says how many have not."""
    kept = [at for at, text in enumerate(rows.texts) if not _is_blank(text)]
    dropped = len(rows.texts) - len(kept)
    if not dropped:
        return rows
    needed = "two texts" if are_pairs(rows.texts) else "a text"
    if not kept:
        raise DataError(f"{rows.where} has no row with {needed}", expected="at least one")
    warnings.warn(
        f"{rows.where}: {dropped} {'row' if dropped == 1 else 'rows'} without {needed} left out",
        DataWarning,
        stacklevel=2,
    )
    return replace(
        rows,
        numbers=[rows.numbers[at] for at in kept],
        texts=[rows.texts[at] for at in kept],
        labels=[rows.labels[at] for at in kept] if rows.labels else [],
    )


def _is_blank(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_blank, value))
    return value is None or (isinstance(value, str) and not value.strip())


def _fill(value: Any) -> Any:
    """A missing value as an empty text."""
    if isinstance(value, tuple):
        return tuple(map(_fill, value))
    return "" if value is None else value


def _check_ending(path: Path, *also: str) -> None:
    ending = ending_of(path)
    if ending not in FORMATS:
        raise DataError(
            f"{path} has the extension {ending!r}",
            expected=f"one of {', '.join([*FORMATS, *also])}",
            todo="rename or convert the file",
        )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _show_names(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) if len(name) <= 60 else repr(name[:60] + "…") for name in names[:20])
    return (shown or "none") + (", …" if len(names) > 20 else "")
