"""The texts that the heads of a run got wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybridqies.report.html.blocks import Group, Paragraph, Table
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import RunRecord
from hybridqies.report.words import percent
from hybridqies.runs.mistakes import LISTED


def list_mistakes(run: RunRecord) -> Iterator[Block]:
    """The run's own mistakes, the surest first, with how many other heads share each; then the others'."""
    kept = [(arm.name, arm.mistakes) for arm in run.arms if arm.mistakes is not None]
    if not kept:
        return
    tables = []
    for name, mistakes in kept:
        others = [set(each["wrong"]) for other, each in kept if other != name]
        tables.append(_table(name, mistakes, others))
    yield Paragraph(
        "A text that every head gets wrong may be hard, or its label may be. "
        f"At most {LISTED} texts are kept for each head, those that it was surest of."
    )
    yield tables[0]
    if len(tables) > 1:
        yield Group("Mistakes of the other heads", tuple(tables[1:]))


def _table(name: str, mistakes: Mapping[str, Any], others: list[set[int]]) -> Table:
    headings = ("text", "label", "predicted", "probability", "of the label", "also wrong")
    rows = tuple(
        (
            " ⸱ ".join(each["texts"]),
            str(each["true"]),
            str(each["predicted"]),
            percent(each["probability"]),
            percent(each["probability_of_true"]),
            f"{sum(each['row'] in wrong for wrong in others)} of {len(others)}",
        )
        for each in mistakes["listed"]
    )
    caption = f"{name}: {len(mistakes['wrong']):,} of {mistakes['n_test']:,} texts were misclassified"
    return Table(f"mistakes-{name}", caption, headings, rows, (False, False, False, True, True, True))
