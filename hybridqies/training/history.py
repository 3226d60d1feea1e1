"""`metrics.jsonl`: one line for each epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridqies.errors import ModelFolderError
from hybridqies.files import write_text

METRICS = "metrics.jsonl"


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Writes the records of all epochs so far."""
    write_text(folder / METRICS, "".join(json.dumps(record) + "\n" for record in history))


def read_history(folder: Path, *, needed: Sequence[str] = ("epoch",)) -> list[dict[str, Any]]:
    """The records of all epochs, each with the numbers that are `needed`.

    Raises
    ------
    ModelFolderError: the file is missing or damaged, or a line lacks one of them.
    """
    path = folder / METRICS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFolderError(f"{str(path)!r} is missing or damaged ({error})", todo="train anew") from None
    for number, record in enumerate(records, start=1):
        for name in needed:
            if not isinstance(record, dict) or not isinstance(record.get(name), int | float):
                raise ModelFolderError(
                    f"{str(path)!r} is damaged: line {number} has no number {name!r}", todo="train anew"
                )
    return records
