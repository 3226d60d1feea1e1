"""Confusion: counts and figures of classes against scikit-learn, and a record that stays small."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from hybridqies.errors import InputError
from hybridqies.training import confusion, measure_classes, read_confusion, record_confusion


def draws(n_classes: int, rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(n_classes)
    return draw.dirichlet(np.ones(n_classes), rows).astype(np.float32), draw.integers(0, n_classes, rows)


@pytest.mark.parametrize("n_classes", [2, 50, 51, 2300])
def test_recorded_and_read(n_classes: int) -> None:
    counts = confusion(*draws(n_classes))
    recorded = json.loads(json.dumps(record_confusion(counts)))
    assert isinstance(recorded, list if n_classes <= 50 else dict)
    assert (read_confusion(recorded, n_classes) == counts).all()
    # 2 bytes for each zero of 50 rows, or at most 200 cells.
    assert len(json.dumps(recorded)) < 10_000


@pytest.mark.parametrize(
    "recorded",
    [
        [[1, 2]],
        [[1, 2], [3]],
        [["a", 1], [1, 1]],
        {},
        {"cells": [[0, 1]]},
        {"cells": [[0, 2, 1]]},
        {"cells": [[-1, 0, 1]]},
        {"cells": 5},
        None,
        "x",
        [[10**30, 0], [0, 0]],
    ],
)
def test_what_is_no_confusion_is_refused(recorded: Any) -> None:
    with pytest.raises(InputError, match="the recorded confusion of 2 classes is damaged"):
        read_confusion(recorded, 2)


@pytest.mark.parametrize("n_classes", [2, 7])
def test_classes_against_scikit_learn(n_classes: int) -> None:
    probabilities, labels = draws(n_classes)
    found = measure_classes(confusion(probabilities, labels), list(range(n_classes)))
    wanted = reference.precision_recall_fscore_support(labels, probabilities.argmax(axis=1))
    for key, values in zip(("precision", "recall", "f1", "n"), wanted, strict=True):
        assert [each[key] for each in found] == pytest.approx(values.tolist())


def test_what_cannot_be_measured_is_none() -> None:
    counts = np.array([[2, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert measure_classes(counts, ["a", "b", "c"]) == [
        {
            "class": "a",
            "precision": pytest.approx(2 / 3),
            "recall": pytest.approx(2 / 3),
            "f1": 2 / 3,
            "n": 3,
        },
        {"class": "b", "precision": 0.0, "recall": None, "f1": 0.0, "n": 0},
        {"class": "c", "precision": None, "recall": 0.0, "f1": 0.0, "n": 1},
    ]
