"""Stratified splits and few-shot draws, a function of the data and a seed alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hybridqies.errors import DataError, InputError
from hybridqies.text.dataset import Dataset, Examples
from hybridqies.text.readers import Label

Positions = dict[Label, list[int]]


def split(
    dataset: Dataset, validation_fraction: float = 0.1, test_fraction: float = 0.1, seed: int = 0
) -> Dataset:
    """`dataset` with the splits that it lacks drawn from its training data, stratified by class.

    Both fractions are of the training data as given; splits that are there stay as they are,
    and a fraction of 0 leaves a lacking split away. Every class keeps a training row.

    Raises
    ------
    InputError: a fraction outside [0, 1), or two that leave nothing.
    DataError: too few rows for a split.
    """
    wanted_test = 0.0 if dataset.test is not None else _fraction("test", test_fraction)
    wanted_validation = (
        0.0 if dataset.validation is not None else _fraction("validation", validation_fraction)
    )
    if wanted_test + wanted_validation >= 1:
        raise InputError(
            f"fractions {validation_fraction} and {test_fraction} leave no training data",
            expected="a sum below 1",
        )
    order = _shuffled(dataset.train.labels, dataset.classes, seed)
    test, order = _draw(order, wanted_test, len(dataset.train))
    validation, order = _draw(order, wanted_validation, len(dataset.train))
    return Dataset(
        dataset.name,
        _examples(dataset.train, order),
        _examples(dataset.train, validation) if wanted_validation else dataset.validation,
        _examples(dataset.train, test) if wanted_test else dataset.test,
        dataset.classes,
    )


def few_shot(dataset: Dataset, per_class: int, validation_fraction: float = 0.15, seed: int = 0) -> Dataset:
    """`per_class` examples of each class for training and validation, all others for testing.

    All splits are pooled (training, validation, test, in that order) before the
    draw; the draw is split in two, stratified. 256 per class and 0.15 on SST-2
    give 435 / 77 / 9,101 (arXiv:2504.08732, section on the experiments).

    Raises
    ------
    InputError: `per_class` below 1, or a fraction outside [0, 1).
    DataError: a class without one row more than `per_class`, or a draw too small for that fraction.
    """
    if per_class < 1:
        raise InputError(f"{per_class} examples per class", expected="at least 1")
    fraction = _fraction("validation", validation_fraction)
    pool = _pooled(dataset)
    order = _shuffled(pool.labels, dataset.classes, seed)
    for label, positions in order.items():
        if len(positions) <= per_class:
            raise DataError(
                f"class {label!r} of {dataset.name} has {len(positions)} rows",
                expected=f"at least {per_class + 1}, that is {per_class} to draw and one to test on",
                todo=f"draw at most {len(positions) - 1} per class"
                if len(positions) > 1
                else "add rows of it",
            )
    drawn = {label: positions[:per_class] for label, positions in order.items()}
    rest = {label: positions[per_class:] for label, positions in order.items()}
    validation, train = _draw(drawn, fraction, per_class * len(drawn))
    return Dataset(
        dataset.name,
        _examples(pool, train),
        _examples(pool, validation) if fraction else None,
        _examples(pool, rest),
        dataset.classes,
    )


def _fraction(what: str, value: float) -> float:
    if not 0 <= value < 1:
        raise InputError(f"{what} fraction {value}", expected="at least 0 and below 1")
    return float(value)


def _pooled(dataset: Dataset) -> Examples:
    parts = dataset.splits().values()
    return Examples(
        tuple(text for part in parts for text in part.texts),
        tuple(label for part in parts for label in part.labels),
    )


def _shuffled(labels: Sequence[Label], classes: Sequence[Label], seed: int) -> Positions:
    """Each class's positions in random order.

    The order comes from sorting uniform draws: NumPy may change its permutations from version to version,
    but not the bit stream of a generator, from which uniform draws follow directly.
    """
    if seed < 0:
        raise InputError(f"seed {seed}", expected="0 or a positive whole number")
    order: Positions = {label: [] for label in classes}
    for position in np.argsort(np.random.default_rng(seed).random(len(labels)), kind="stable"):
        order[labels[position]].append(int(position))
    return order


def _draw(order: Positions, fraction: float, whole: int) -> tuple[Positions, Positions]:
    """The first rows of each class, round(fraction · whole) in all, and what stays."""
    if not fraction:
        return {label: [] for label in order}, order
    counts = _apportion(
        {label: len(positions) for label, positions in order.items()}, round(fraction * whole)
    )
    taken = {label: positions[: counts[label]] for label, positions in order.items()}
    return taken, {label: positions[counts[label] :] for label, positions in order.items()}


def _apportion(sizes: Mapping[Label, int], seats: int) -> dict[Label, int]:
    """`seats` shared out in proportion to `sizes` by largest remainders, always leaving one of each class."""
    room = {label: size - 1 for label, size in sizes.items()}
    if not 0 < seats <= sum(room.values()):
        raise DataError(
            f"{sum(sizes.values())} rows of {len(sizes)} classes are too few for a split of {seats}",
            expected="at least one row in the split, and one row of every class left for training",
            todo="give more rows or another fraction",
        )
    total = sum(sizes.values())
    exact = {label: seats * size / total for label, size in sizes.items()}
    counts = {label: min(math.floor(exact[label]), room[label]) for label in sizes}
    while (left := seats - sum(counts.values())) > 0:
        open_classes = [label for label in sizes if counts[label] < room[label]]
        by_need = sorted(open_classes, key=lambda label: counts[label] - exact[label])
        for label in by_need[:left]:
            counts[label] += 1
    return counts


def _examples(source: Examples, order: Positions) -> Examples:
    return source.take(sorted(position for positions in order.values() for position in positions))
