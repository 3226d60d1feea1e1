"""A table of measured losses, one row a training, as the input of scaling laws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridqies.errors import DataError, InputError, UnknownNameError
from hybridqies.study.statistics.power_laws import Measured
from hybridqies.text.formats import FORMATS, ending_of, parse
from hybridqies.text.grids import Grid, Wanted

LEFT_OUT = "none"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class LossColumns:
    """The names of the columns that are read. `none` leaves size, tokens or arm out. Others are ignored.

    So does a table without a column of the standard name. Any other name has to be there.
    """

    loss: str = "loss"
    size: str = "size"
    tokens: str = "tokens"
    arm: str = "arm"


def read_losses(path: Path, columns: LossColumns) -> dict[str, Measured]:
    """The losses of every arm, in order of appearance; "all" where the table has no column of arms.

    A law of size, of tokens or of both is meant by which of their columns there are.

    Raises
    ------
    DataError: the file cannot be read, or a value is no positive number; names the line.
    UnknownNameError: a column that was named is missing.
    InputError: there are neither sizes nor tokens, or an arm has too few different ones of them.
    """
    grid = _read(path, columns)
    _check_named(grid, columns)
    names = tuple(
        role for role in ("size", "tokens") if getattr(columns, role) in grid.names and _wanted(columns, role)
    )
    if columns.loss not in grid.names:
        raise UnknownNameError("column of losses", columns.loss, grid.names, todo="give --loss-column")
    if not names:
        raise InputError(
            f"{path} has no column of sizes or tokens; it has {', '.join(map(repr, grid.names))}",
            expected=f"{columns.size!r} or {columns.tokens!r} or both",
            todo="give --size-column or --tokens-column",
        )
    losses = _numbers(grid, columns.loss)
    quantities = np.column_stack([_numbers(grid, getattr(columns, role)) for role in names])
    arms = [str(each) for each in grid.columns.get(columns.arm, [_ALL] * len(losses))]
    found = {}
    for arm in dict.fromkeys(arms):
        own = np.array([each == arm for each in arms])
        what = str(path) if arm == _ALL else f"arm {arm!r} of {path}"
        found[arm] = Measured(names, quantities[own], losses[own], what)
    return found


def _read(path: Path, columns: LossColumns) -> Grid:
    if ending_of(path) not in FORMATS:
        raise DataError(
            f"{path} has the extension {ending_of(path)!r}", expected=f"one of {', '.join(FORMATS)}"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    roles = [role for role in ("size", "tokens", "arm") if _wanted(columns, role)]
    wanted = Wanted((columns.loss,), tuple(getattr(columns, role) for role in roles))
    grid = parse(content, path, wanted)
    if not len(grid.numbers):
        raise DataError(f"{path} has no rows", expected="one row for each training")
    return grid


def _check_named(grid: Grid, columns: LossColumns) -> None:
    """Refuses a column of another than the standard name that the table does not have."""
    standard = LossColumns()
    for role in ("size", "tokens", "arm"):
        name = getattr(columns, role)
        is_named = name != getattr(standard, role) and _wanted(columns, role)
        if is_named and name not in grid.names:
            raise UnknownNameError(f"column of {role}", name, grid.names, todo=f"see --{role}-column")


def _wanted(columns: LossColumns, role: str) -> bool:
    return bool(getattr(columns, role) != LEFT_OUT)


def _numbers(grid: Grid, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = grid.columns[name]
    return np.array([_number(value, name, grid.place(at)) for at, value in enumerate(values)])


def _number(value: Any, name: str, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise DataError(f"{place}: {name} is {str(value)[:60]!r}", expected="a finite number above 0")
    return number
