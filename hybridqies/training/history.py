"""`metrics.jsonl`: one line for each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridqies.records import read_lines, write_lines

METRICS = "metrics.jsonl"


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Writes the records of all epochs so far, each line with a checksum."""
    write_lines(folder / METRICS, history)


def read_history(folder: Path) -> tuple[dict[str, Any], ...]:
    """The records of all epochs: numbers, under the same names in each.

    Raises
    ------
    ModelFolderError: the file is missing or damaged, or a line lacks a number that the first one has.
    """
    path = folder / METRICS
    first = read_lines(path, needed={"epoch": int}, what="training record")[0]
    needed = dict.fromkeys(first, float) | {"epoch": int}
    return read_lines(path, needed=needed, what="training record")
