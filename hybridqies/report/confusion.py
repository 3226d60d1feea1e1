"""Which class was taken for which, as a picture and as tables that can be read with many classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from hybridqies.figures import missing_letters, plain
from hybridqies.report.words import percent
from hybridqies.training.confusion_matrix import FloatArray, IntArray, read_confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST_NAME = 48
# Squares are wide for so many classes, there are no more than so many, and of these so many have counts.
_WIDE, _DRAWN, _PRINTED = 20, 80, 400
# A table of so many columns fits on a terminal.
_TABLED, _LISTED = 10, 20


def draw_confusion(result: Mapping[str, Any]) -> Figure:
    """Counts of true against predicted classes on the test set, shaded by the share of the true class.

    Of more than 80 classes the 80 that were mistaken most often are drawn.
    """
    from matplotlib.figure import Figure

    counts = read_confusion(result["confusion"], len(result["classes"]))
    chosen = _most_mistaken(counts)
    names = [_name(result["classes"][at], at) for at in chosen]
    shares = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[np.ix_(chosen, chosen)]
    many, longest = len(names) > _WIDE, max(map(len, names))
    cells = max(2.2, (0.2 if many else 0.55) * len(names))
    size = (cells + 2.4 + 0.08 * longest, cells + 1.0 + 0.06 * longest)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    _name_rows(axes, names, many=many)
    _write_counts(axes, counts[np.ix_(chosen, chosen)], shares, many=many)
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.05, aspect=30)
    # Over the whole figure: the squares alone may be narrower than the words.
    figure.suptitle(_title(result, len(chosen)), fontsize=11)
    return figure


def confusion_tables(record: Mapping[str, Any]) -> Iterator[Table]:
    """Figures of each class, and the confusion matrix; of many classes their most frequent mistakes."""
    yield classes_table(record)
    counts = read_confusion(record["confusion"], len(record["classes"]))
    if len(counts) <= _TABLED:
        yield _whole_table(record["classes"], counts)
    else:
        yield mistakes_table(record["classes"], counts)


def _most_mistaken(counts: IntArray) -> list[int]:
    """The classes to draw, in their order: all, or those with the most errors in row and column."""
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    ranked = np.argsort(-wrong, kind="stable")[:_DRAWN]
    return sorted(int(at) for at in ranked)


def _name(label: str | int, at: int) -> str:
    """The class as a picture can write it: by its number where no font has its letters."""
    name = str(label)
    return f"class {at}" if _lacks_letters(name) else plain(name, _LONGEST_NAME)


def _lacks_letters(name: str) -> bool:
    return any(letter.isalnum() for letter in missing_letters(name[:_LONGEST_NAME]))


def _name_rows(axes: Axes, names: list[str], *, many: bool) -> None:
    size = 7 if many else 9
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xticks(range(len(names)), names, fontsize=size)
    if many or max(map(len, names)) > 5:
        upright = {"rotation": 90, "va": "center"} if many else {"rotation": 45, "va": "top"}
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor", **upright)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if many:
        # Lines to follow from a square to its names.
        axes.set_xticks(np.arange(0.5, len(names) - 1), minor=True)
        axes.set_yticks(np.arange(0.5, len(names) - 1), minor=True)
        axes.grid(which="minor", color="#e2e8f0", linewidth=0.5)
        axes.tick_params(which="minor", length=0)


def _write_counts(axes: Axes, counts: IntArray, shares: FloatArray, *, many: bool) -> None:
    """Counts in their squares; of many classes the largest, in small print."""
    least = max(1, int(np.sort(counts, axis=None)[-_PRINTED])) if many else 0
    for (row, column), count in np.ndenumerate(counts):
        if count >= least:
            colour = "white" if shares[row, column] > 0.55 else "black"
            size = 5 if many else 9
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=size)


def _title(result: Mapping[str, Any], drawn: int) -> str:
    title = f"test accuracy {percent(result['accuracy'])} of {result['n_test']:,} texts"
    if drawn < len(result["classes"]):
        title += f"\nthe {drawn} of {len(result['classes']):,} classes with the most mistakes"
    if any(_lacks_letters(str(label)) for label in result["classes"]):
        title += "\nclasses by their number in result.json,\nwhere no installed font has their letters"
    return title


def classes_table(record: Mapping[str, Any]) -> Table:
    """Precision, recall and F1 of each class; of many classes the worst."""
    rows = record["per_class"]
    worst = sorted(rows, key=lambda row: float(row["f1"]))[:_DRAWN] if len(rows) > _DRAWN else rows
    title = f"The {_DRAWN} of {len(rows):,} classes with the lowest F1" if len(rows) > _DRAWN else "Classes"
    table = Table("class", title=title, title_justify="left")
    for name in ("precision", "recall", "F1", "texts"):
        table.add_column(name, justify="right")
    for row in worst:
        shares = ("-" if row[name] is None else percent(row[name]) for name in ("precision", "recall", "f1"))
        table.add_row(str(row["class"]), *shares, f"{row['n']:,}")
    return table


def _whole_table(classes: list[str | int], counts: IntArray) -> Table:
    table = Table("true \\ predicted", *map(str, classes), title="Confusion", title_justify="left")
    for label, row in zip(classes, counts.tolist(), strict=True):
        table.add_row(str(label), *map(str, row))
    return table


def mistakes_table(classes: Sequence[str | int], counts: IntArray) -> Table:
    """The classes that were most often taken for another, and for which."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    table = Table("true", "predicted", title="Most frequent mistakes", title_justify="left")
    table.add_column("texts", justify="right")
    table.add_column("of the class", justify="right")
    for cell in np.argsort(-wrong, axis=None, kind="stable")[:_LISTED]:
        true, predicted = divmod(int(cell), len(counts))
        count = int(wrong[true, predicted])
        if count:
            share = percent(count / int(counts[true].sum()))
            table.add_row(str(classes[true]), str(classes[predicted]), f"{count:,}", share)
    return table
