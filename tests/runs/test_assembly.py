"""What a prepared run tells of its data."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hybridqies.runs import DataOptions, PreparedRun, RunConfig
from hybridqies.tasks import Splits
from hybridqies.tasks.classification import ClassificationData
from hybridqies.text import Dataset, Examples


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (("same", "b", "c"), ("same", "same", "Same", "d")),
        ((("a", "b"), ("c", "d"), ("e", "f")), (("b", "a"), ("c", "d"), ("a", "c"), ("c", "d"))),
    ],
)
def test_overlap_counts_test_rows_seen_in_training(train: tuple[Any, ...], test: tuple[Any, ...]) -> None:
    """Character for character, and pairs in their order."""
    parts = [Examples(entries, ("x", "y", "x", "y")[: len(entries)]) for entries in (train, test)]
    dataset = Dataset.of("d", parts[0], test=parts[1])

    class Data(ClassificationData):
        n_inputs = 1
        fingerprints: ClassVar = {}

        def _compute(self, entries: Any, on_progress: Any) -> Any:
            raise AssertionError

    prepared = PreparedRun(RunConfig(), Data(dataset, DataOptions()), None, ())
    prepared.drawn = Splits(parts[0], parts[1], parts[1])
    assert prepared.overlap == 2
