"""What a model got wrong, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybridqies.errors import ModelFolderError
from hybridqies.runs.measure import Answers
from hybridqies.runs.mistakes import LISTED, LONGEST, list_mistakes, read_mistakes, write_mistakes


def test_the_surest_come_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.6, 0.4]])
    answers = Answers(probabilities, np.array([0, 0, 0, 1]))
    found = list_mistakes(answers, ["a", "b", ("c", "d"), "e" * 600], ["ham", "spam"])
    assert found["wrong"] == [1, 2, 3]
    assert [each["row"] for each in found["listed"]] == [2, 1, 3]
    assert found["listed"][0] == {
        "row": 2,
        "texts": ["c", "d"],
        "true": "ham",
        "predicted": "spam",
        "probability": 0.8,
        "probability_of_true": 0.2,
    }
    assert [len(text) for text in found["listed"][2]["texts"]] == [LONGEST]


def test_texts_are_kept_of_a_few() -> None:
    answers = Answers(np.tile([0.1, 0.9], (200, 1)), np.zeros(200, dtype=int))
    found = list_mistakes(answers, ["a"] * 200, [0, 1])
    assert found["wrong"] == list(range(200))
    assert [each["row"] for each in found["listed"]] == list(range(LISTED))


def test_the_file(tmp_path: Path) -> None:
    assert read_mistakes(tmp_path) is None
    written = {"n_test": 2, "wrong": [1], "listed": []}
    write_mistakes(tmp_path, written)
    assert read_mistakes(tmp_path) == written
    path = tmp_path / "mistakes.json"
    path.write_text(path.read_text().replace("2", "3", 1))
    with pytest.raises(ModelFolderError, match=r"mistakes '.*' was altered"):
        read_mistakes(tmp_path)
