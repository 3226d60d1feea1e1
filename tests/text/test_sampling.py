"""Draws: exact counts, nothing lost or doubled, a function of the seed alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridqies.errors import DataError, InputError
from hybridqies.text.dataset import Dataset, Examples
from hybridqies.text.entries import Entry
from hybridqies.text.sampling import few_shot, split


def examples(counts: dict[str | int, int], tag: str = "") -> Examples:
    pairs = [(f"{tag}{label}-{i}", label) for label, count in counts.items() for i in range(count)]
    return Examples.of(*zip(*pairs, strict=True))


def everything(dataset: Dataset) -> Counter[tuple[Entry, str | int | float]]:
    return Counter(
        pair for part in dataset.splits().values() for pair in zip(part.texts, part.labels, strict=True)
    )


@pytest.fixture(scope="module")
def sst2_like() -> Dataset:
    """The sizes of SST-2: 6,920 / 872 / 1,821 in two classes."""
    return Dataset.of(
        "sst2",
        examples({0: 3310, 1: 3610}, "a"),
        examples({0: 428, 1: 444}, "b"),
        examples({0: 912, 1: 909}, "c"),
    )


class TestFewShot:
    def test_the_papers_counts(self, sst2_like: Dataset) -> None:
        drawn = few_shot(sst2_like, 256, 0.15, seed=3)
        assert drawn.describe()["rows"] == {"train": 435, "validation": 77, "test": 9101}
        assert Counter(drawn.train.labels + (drawn.validation or drawn.train).labels) == {0: 256, 1: 256}
        assert everything(drawn) == everything(sst2_like)
        assert drawn.classes == sst2_like.classes

    def test_all_splits_are_pooled(self, sst2_like: Dataset) -> None:
        origins = Counter(text[0] for text in few_shot(sst2_like, 256).train.texts)
        assert set(origins) == {"a", "b", "c"}

    def test_the_draw_of_a_seed_never_changes(self, sst2_like: Dataset) -> None:
        assert (
            few_shot(sst2_like, 256, 0.15, seed=0).fingerprint
            == "f42ea3b3f05b97420610ff22e4a62d7f3a9b25923fc7ae02f06a26f7c8369daa"
        )

    def test_seeds_differ_and_repeat(self, sst2_like: Dataset) -> None:
        first, again, other = (few_shot(sst2_like, 16, seed=seed) for seed in (1, 1, 2))
        assert first == again
        assert first != other

    def test_the_global_generator_is_left_alone(self, sst2_like: Dataset) -> None:
        before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
        few_shot(sst2_like, 16)
        assert np.array_equal(before, np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002

    def test_no_validation(self, sst2_like: Dataset) -> None:
        drawn = few_shot(sst2_like, 8, validation_fraction=0)
        assert drawn.validation is None
        assert len(drawn.train) == 16

    def test_a_class_that_is_too_small(self) -> None:
        dataset = Dataset.of("d", examples({"a": 20, "b": 8}))
        assert len(few_shot(dataset, 7).splits()["test"]) == 14
        with pytest.raises(
            DataError, match=r"class 'b' of d has 8 rows; expected at least 9.*at most 7 per class"
        ):
            few_shot(dataset, 8)

    @pytest.mark.parametrize(
        ("per_class", "fraction", "told"),
        [
            (0, 0.1, "0 examples per class"),
            (-1, 0.1, "-1 examples per class"),
            (2, 1.0, r"validation fraction 1\.0"),
            (2, -0.1, r"validation fraction -0\.1"),
        ],
    )
    def test_bad_numbers(self, sst2_like: Dataset, per_class: int, fraction: float, told: str) -> None:
        with pytest.raises(InputError, match=told):
            few_shot(sst2_like, per_class, fraction)

    @pytest.mark.parametrize(("per_class", "fraction"), [(1, 0.15), (2, 0.9)])
    def test_a_draw_too_small_to_split(self, sst2_like: Dataset, per_class: int, fraction: float) -> None:
        with pytest.raises(DataError, match="too few for a split"):
            few_shot(sst2_like, per_class, fraction)

    def test_negative_seed(self, sst2_like: Dataset) -> None:
        with pytest.raises(InputError, match="seed -1"):
            few_shot(sst2_like, 2, seed=-1)


class TestSplit:
    def test_both_missing(self) -> None:
        dataset = Dataset.of("d", examples({"a": 100, "b": 300}))
        parts = split(dataset, 0.2, 0.1, seed=5)
        assert parts.describe()["per_class"] == {
            "train": {"a": 70, "b": 210},
            "validation": {"a": 20, "b": 60},
            "test": {"a": 10, "b": 30},
        }
        assert everything(parts) == everything(dataset)

    def test_what_is_there_stays(self) -> None:
        dataset = Dataset.of("d", examples({"a": 50, "b": 50}), test=examples({"a": 5, "b": 5}, "t"))
        parts = split(dataset, 0.1, 0.5)
        assert parts.test is dataset.test
        assert (len(parts.train), len(parts.splits()["validation"])) == (90, 10)
        assert split(parts) == parts

    def test_fractions_of_nothing(self) -> None:
        dataset = Dataset.of("d", examples({"a": 5, "b": 5}))
        assert split(dataset, 0, 0) == dataset

    def test_fractions_that_leave_nothing(self) -> None:
        with pytest.raises(InputError, match="no training data"):
            split(Dataset.of("d", examples({"a": 5, "b": 5})), 0.5, 0.5)

    def test_the_draw_of_a_seed_never_changes(self) -> None:
        assert (
            split(Dataset.of("d", examples({0: 90, 1: 10})), seed=7).fingerprint
            == "0c1fa711003e7b8f284c439daf5b0d124482c989257862cb193ee1e0c2ba530d"
        )

    @settings(deadline=None, max_examples=60)
    @given(
        sizes=st.lists(st.integers(1, 40), min_size=2, max_size=6),
        fraction=st.floats(0.01, 0.6),
        seed=st.integers(0, 2**32),
    )
    def test_proportions(self, sizes: list[int], fraction: float, seed: int) -> None:
        dataset = Dataset.of("d", examples(dict(enumerate(sizes))))
        wanted = round(fraction * sum(sizes))
        if not 0 < wanted <= sum(sizes) - len(sizes):
            with pytest.raises(DataError, match="too few"):
                split(dataset, fraction, 0, seed)
            return
        parts = split(dataset, fraction, 0, seed)
        assert everything(parts) == everything(dataset)
        drawn, kept = Counter(parts.splits()["validation"].labels), Counter(parts.train.labels)
        assert drawn.total() == wanted
        assert set(kept) == set(range(len(sizes)))
        if all(wanted * size / sum(sizes) <= size - 1 for size in sizes):
            assert all(abs(drawn[i] - wanted * size / sum(sizes)) < 1 for i, size in enumerate(sizes))
