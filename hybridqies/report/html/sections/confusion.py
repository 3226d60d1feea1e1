"""Which class was taken for which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hybridqies.report.confusion import classes_table, mistakes_table
from hybridqies.report.html.blocks import Group, Table
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import ArmRecord, RunRecord
from hybridqies.report.words import head_label
from hybridqies.training.confusion_matrix import IntArray, read_confusion

_MATRIX_UP_TO = 20


def show_confusion(run: RunRecord) -> Iterator[Block]:
    """Figures of each class and the matrix of the run's own head; those of the others are folded."""
    if not run.arms[0].result["classes"]:
        return
    own, *others = [_matrix(arm) for arm in run.arms]
    yield own
    yield Table.of("classes", classes_table(run.arms[0].result))
    if others:
        yield Group("The other heads", tuple(others))


def _matrix(arm: ArmRecord) -> Table:
    result = arm.result
    counts = read_confusion(result["confusion"], len(result["classes"]))
    return count_table(f"confusion-{arm.name}", head_label(result), result["classes"], counts)


def count_table(name: str, label: str, classes: Sequence[Any], counts: IntArray) -> Table:
    """A matrix of counts, shaded by the share of the true class; of many classes the commonest mistakes."""
    if len(counts) > _MATRIX_UP_TO:
        table = Table.of(name, mistakes_table(classes, counts))
        return Table(name, f"{label}: {table.caption}", table.headings, table.rows, table.numeric)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return Table(
        name,
        f"{label}: true class in rows, predicted class in columns",
        ("true \\ predicted", *map(str, classes)),
        tuple(
            (str(each), *(f"{n:,}" for n in row)) for each, row in zip(classes, counts.tolist(), strict=True)
        ),
        (False, *(True for _ in classes)),
        shades=tuple(tuple(row) for row in shares.round(4).tolist()),
    )
