"""`metrics.jsonl`: one line for each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridqies.errors import ModelFolderError
from hybridqies.records import digest_of, lacking, read_lines, write_lines

METRICS = "metrics.jsonl"


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Writes the records of all epochs so far, each line with a checksum."""
    write_lines(folder / METRICS, history)


def digest_epochs(history: Sequence[Mapping[str, Any]]) -> str:
    """A digest of what epochs measured, without the time that they took."""
    measured = [{name: value for name, value in each.items() if name != "seconds"} for each in history]
    return digest_of({"epochs": measured})


def read_history(folder: Path) -> tuple[dict[str, Any], ...]:
    """The records of all epochs: numbers, under the same names in each.

    Raises
    ------
    ModelFolderError: the file is missing or damaged, or a line lacks a number that the first one has.
    """
    path, what = folder / METRICS, "training record"
    epochs = read_lines(path, what=what)
    needed = dict.fromkeys(epochs[0], float) | {"epoch": int}
    for number, epoch in enumerate(epochs, 1):
        problem = lacking(epoch, needed)
        if problem:
            raise ModelFolderError(
                f"line {number} of {what} {str(path)!r} is damaged: {problem}",
                todo="restore it or train again",
            )
    return epochs
