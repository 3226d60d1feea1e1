"""What a model got wrong on the test part, kept in a file beside its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridqies.records import read_record, write_record
from hybridqies.runs.folder import MISTAKES
from hybridqies.runs.measure import Answers
from hybridqies.text import Entry

LISTED, LONGEST = 50, 500


def list_mistakes(answers: Answers, entries: Sequence[Entry], classes: Sequence[Any]) -> dict[str, Any]:
    """Every row that was taken for another class, and the texts of those that the model was surest of.

    At most 50 texts are kept, each cut at 500 characters.
    """
    predicted = answers.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != answers.labels)
    sure = answers.probabilities[wrong, predicted[wrong]]
    listed = wrong[np.argsort(-sure, kind="stable")[:LISTED]]
    return {
        "n_test": len(answers.labels),
        "wrong": wrong.tolist(),
        "listed": [
            {
                "row": int(row),
                "texts": [text[:LONGEST] for text in _texts(entries[row])],
                "true": classes[int(answers.labels[row])],
                "predicted": classes[int(predicted[row])],
                "probability": float(answers.probabilities[row, predicted[row]]),
                "probability_of_true": float(answers.probabilities[row, answers.labels[row]]),
            }
            for row in listed
        ],
    }


def write_mistakes(folder: Path, mistakes: dict[str, Any]) -> None:
    """Writes `mistakes.json`."""
    write_record(folder / MISTAKES, mistakes)


def read_mistakes(folder: Path) -> dict[str, Any] | None:
    """The checked `mistakes.json`; None of a run of an earlier version, which has none.

    Raises
    ------
    ModelFolderError: it is truncated, altered or lacks something.
    """
    if not (folder / MISTAKES).is_file():
        return None
    return read_record(
        folder / MISTAKES, needed={"n_test": int, "wrong": list, "listed": list}, what="mistakes"
    )


def _texts(entry: Entry) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)
