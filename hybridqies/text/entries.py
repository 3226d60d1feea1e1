"""What is classified: single texts, or pairs of texts, from files and from Python's containers alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from hybridqies.errors import DataError
from hybridqies.text.checks import check_texts, describe_value, fault_of, plain_values

Pair = tuple[str, str]
Entry = str | Pair
"""One text, or a pair of a first and a second text."""

PAIR_COLUMN = "text_pair"
"""The column of second texts that is read where nobody names one."""

_TABLE = {"text", PAIR_COLUMN}


def are_pairs(entries: Sequence[Entry]) -> bool:
    """Whether the entries are pairs, by the first of them; no entries are single texts."""
    return len(entries) > 0 and isinstance(entries[0], tuple)


def name_kind(paired: bool) -> str:
    """What entries are called in messages."""
    return "pairs of texts" if paired else "single texts"


def fault_of_entry(entry: object) -> str | None:
    """What is wrong with `entry` as a text, or with one of the two where it is a tuple; None for nothing."""
    if not isinstance(entry, tuple):
        return fault_of(entry)
    if len(entry) != 2:
        return f"it has {len(entry)} {'text' if len(entry) == 1 else 'texts'}, not two"
    first, second = entry
    return fault_of(first, "the first text") or fault_of(second, "the second text")


def check_entries(entries: Sequence[Entry]) -> None:
    """Raises DataError for the first entry that can't be embedded or is of another kind, counting from 1."""
    if isinstance(entries, str) or not are_pairs(entries):
        check_texts(entries)  # type: ignore[arg-type]
        return
    for number, entry in enumerate(entries, start=1):
        is_pair = isinstance(entry, tuple)
        fault = fault_of_entry(entry) if is_pair else f"it is {describe_value(entry)}, not a pair"
        if fault:
            raise DataError(
                f"pair {number} of {len(entries)}: {fault}",
                expected="two strings, each with at least one visible character",
                todo="correct it or leave it out",
            )


def as_entries(given: Any) -> tuple[Entry, ...]:
    """Texts from a list, a tuple, a NumPy array or a pandas Series; checked as `check_entries` does.

    Pairs are tuples or lists of two strings in one of these, an array (N, 2), or a table whose columns are
    `text` and `text_pair` alone.

    Raises
    ------
    DataError: something that is no sequence of texts or pairs, such as a mapping or a single string.
    """
    kind = type(given).__name__
    if isinstance(given, str | bytes):
        raise DataError(
            f"one string was given: {given[:40]!r}", expected="a list of texts", todo="wrap it in a list"
        )
    if hasattr(given, "columns"):
        given = _pairs_of_table(given)
    if isinstance(given, Mapping | Set):
        raise DataError(f"a {kind} was given in the place of texts", expected="a list of strings")
    if getattr(given, "ndim", 1) != 1:
        given = _pairs_of_array(given)
    try:
        entries = tuple(map(_as_entry, plain_values(given)))
    except TypeError:
        raise DataError(f"{kind} was given in the place of texts", expected="a list of strings") from None
    check_entries(entries)
    return entries


def _as_entry(value: Any) -> Any:
    """A string, or a tuple in place of a list or an array; anything else as it is."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1:
        return tuple(map(_as_entry, value))
    return str(value) if isinstance(value, str) else value


def _pairs_of_table(table: Any) -> list[Pair]:
    """The two columns of a table of pandas, polars or Arrow, by their names."""
    names = list(getattr(table, "column_names", table.columns))
    if set(names) == _TABLE and len(names) == len(_TABLE):
        return list(zip(*(plain_values(table[name]) for name in ("text", PAIR_COLUMN)), strict=True))
    raise DataError(
        f"a table ({type(table).__name__}) was given in the place of texts",
        expected=f"a list or one column of strings, or a table of text and {PAIR_COLUMN} alone",
        todo=f"give one of its columns: {', '.join(map(repr, names[:4]))}",
    )


def _pairs_of_array(array: Any) -> Any:
    """The rows of an array (N, 2)."""
    if array.ndim == 2 and array.shape[1] == 2:
        return array.tolist()
    raise DataError(
        f"an array of shape {tuple(array.shape)} was given in the place of texts",
        expected="one dimension, or (N, 2) for pairs",
        todo="give one column of it",
    )
