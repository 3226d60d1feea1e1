"""Whether the probabilities of the heads of a run can be believed."""

from __future__ import annotations

from collections.abc import Iterator

from hybridqies.report.html.blocks import Paragraph, Table
from hybridqies.report.html.plots import GREY, Axis, Block, Plot, Series
from hybridqies.report.html.records import ArmRecord, RunRecord
from hybridqies.report.words import percent

_FEWEST = 5
"""Texts in a bin that is drawn: the accuracy of fewer says nothing."""


def draw_calibration(run: RunRecord) -> Iterator[Block]:
    """Accuracy against confidence in bins, and the expected calibration error of each head."""
    arms = [(style, arm) for style, arm in enumerate(run.arms) if arm.result.get("reliability")]
    if not arms:
        return
    yield Paragraph(
        "Of the texts to which a head gives a probability of 80 %, four in five should be right. "
        "Points below the dotted line mean that a head is surer than it should be."
    )
    lines = tuple(line for line in (_bins(arm, style) for style, arm in arms) if line.x)
    least = min((x for line in lines for x in line.x), default=0.0)
    diagonal = Series("as sure as right", (least, 100.0), (least, 100.0), style=GREY)
    series = (*lines, diagonal)
    text = "Accuracy of each head in bins of its confidence; on the diagonal both are equal."
    caption = f"Accuracy against confidence on the test part, in bins of at least {_FEWEST} texts"
    yield Plot("reliability", caption, text, Axis("mean confidence (%)"), Axis("accuracy (%)"), series)
    rows = tuple(
        (arm.name, percent(arm.result["calibration_error"]), f"{arm.result['log_loss']:.4f}")
        for _, arm in arms
    )
    headings = ("head", "expected calibration error", "log loss")
    caption = "Calibration on the test part, 15 bins (Guo et al. 2017)"
    yield Table("calibration", caption, headings, rows, (False, True, True))


def _bins(arm: ArmRecord, style: int) -> Series:
    bins = [each for each in arm.result["reliability"] if each["n"] >= _FEWEST]
    x, y = (tuple(100 * each[name] for each in bins) for name in ("confidence", "accuracy"))
    return Series(arm.name, x, y, style=style, notes=tuple(f"{each['n']:,} texts" for each in bins))
