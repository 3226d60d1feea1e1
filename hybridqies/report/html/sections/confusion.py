"""Which class was taken for which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hybridqies.report.confusion import classes_table, mistakes_table
from hybridqies.report.html.blocks import Table
from hybridqies.report.html.records import RunRecord
from hybridqies.report.words import head_label
from hybridqies.training.confusion_matrix import IntArray, read_confusion

_MATRIX_UP_TO = 20


def show_confusion(run: RunRecord) -> Iterator[Table]:
    """Figures of each class and the matrix of the run's own head; those of the others are folded."""
    for at, arm in enumerate(run.arms):
        result = arm.result
        if not result["classes"]:
            continue
        counts = read_confusion(result["confusion"], len(result["classes"]))
        yield count_table(
            f"confusion-{arm.name}", head_label(result), result["classes"], counts, folded=at > 0
        )
        if at == 0:
            yield Table.of("classes", classes_table(result))


def count_table(
    name: str, label: str, classes: Sequence[Any], counts: IntArray, *, folded: bool = False
) -> Table:
    """A matrix of counts, shaded by the share of the true class; of many classes the commonest mistakes."""
    if len(counts) > _MATRIX_UP_TO:
        table = Table.of(name, mistakes_table(classes, counts))
        return Table(
            name, f"{label}: {table.caption}", table.headings, table.rows, table.numeric, folded=folded
        )
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
        folded=folded,
    )
