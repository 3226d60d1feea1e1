"""Whether the probabilities of the heads of a run, or of the models of a study, can be believed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hybridqies.report.html.blocks import Listing, Paragraph, Table
from hybridqies.report.html.plots import GREY, Axis, Block, Plot, Series
from hybridqies.report.html.records import RunRecord, StudyRecord, label_of
from hybridqies.report.html.sections.trials import labels_of
from hybridqies.report.words import percent
from hybridqies.study.trials.trial import TrialRecord

_FEWEST = 5
"""Texts in a bin that is drawn: the accuracy of fewer says nothing."""
_BINS = 15
_DRAWN, _LONG = 8, 12
"""Models in one plot, and rows of a table that is open."""


def draw_calibration(run: RunRecord) -> Iterator[Block]:
    """Accuracy against confidence in bins, and the expected calibration error of each head."""
    arms = [(style, arm) for style, arm in enumerate(run.arms) if arm.result.get("reliability")]
    if not arms:
        return
    yield _how_to_read("head")
    yield _plot("head", [_bins(arm.name, arm.result["reliability"], style) for style, arm in arms])
    rows = tuple(
        (arm.name, percent(arm.result["calibration_error"]), f"{arm.result['log_loss']:.4f}")
        for _, arm in arms
    )
    headings = ("head", "expected calibration error", "log loss")
    caption = "Calibration on the test part, 15 bins (Guo et al. 2017)"
    yield Table("calibration", caption, headings, rows, (False, True, True))


def draw_study_calibration(study: StudyRecord) -> Iterator[Block]:
    """The same for each model of a study, its bins summed over seeds; in the plot the best ones."""
    labels, found = labels_of(study), defaultdict(list)
    for trial in study.trials:
        if trial.reliability:
            found[labels[trial.key]].append(trial)
    if not found:
        return
    cells = {label_of(cell): cell for cell in study.result["cells"]}
    best = sorted(
        (label for label in found if label in cells),
        key=lambda label: -study.metric.orient(cells[label][study.metric.name]["mean"]),
    )
    yield _how_to_read("model")
    summed = {label: _sum_bins(found[label]) for label in best}
    yield _plot("model", [_bins(label, summed[label], style) for style, label in enumerate(best[:_DRAWN])])
    rows = tuple((label, percent(_gap(summed[label])), str(len(found[label]))) for label in best)
    caption = "Calibration on the test part, 15 bins, summed over seeds (Guo et al. 2017)"
    headings = ("model", "expected calibration error", "seeds")
    yield Table("calibration", caption, headings, rows, (False, True, True), folded=len(rows) > _LONG)
    notes = []
    if len(best) > _DRAWN:
        notes.append(f"Drawn are the {_DRAWN} best of {len(best)} models by test {study.metric.label}.")
    without = sum(not trial.reliability for trial in study.trials)
    if without:
        notes.append(f"{without} trial(s) of an earlier version did not record their bins.")
    if notes:
        yield Listing(tuple(notes))


def has_probabilities(study: StudyRecord) -> bool:
    """Whether a trial measured probabilities of classes on its test part."""
    return any(trial.predictions for trial in study.trials)


def _how_to_read(what: str) -> Paragraph:
    return Paragraph(
        f"Of the texts to which a {what} gives a probability of 80 %, four in five should be right. "
        f"Points below the dotted line mean that a {what} is surer than it should be."
    )


def _plot(what: str, lines: Sequence[Series]) -> Plot:
    drawn = tuple(line for line in lines if line.x)
    least = min((x for line in drawn for x in line.x), default=0.0)
    diagonal = Series("as sure as right", (least, 100.0), (least, 100.0), style=GREY)
    text = f"Accuracy of each {what} in bins of its confidence; on the diagonal both are equal."
    caption = f"Accuracy against confidence on the test part, in bins of at least {_FEWEST} texts"
    x, y = Axis("mean confidence (%)"), Axis("accuracy (%)")
    return Plot("reliability", caption, text, x, y, (*drawn, diagonal))


def _bins(name: str, reliability: Sequence[Mapping[str, Any]], style: int) -> Series:
    bins = [each for each in reliability if each["n"] >= _FEWEST]
    x, y = (tuple(100 * each[key] for each in bins) for key in ("confidence", "accuracy"))
    return Series(name, x, y, style=style, notes=tuple(f"{each['n']:,} texts" for each in bins))


def _sum_bins(trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """The bins of several trials as one: a bin of confidence is known by the confidence in it."""
    sums: dict[int, list[float]] = {}
    for each in (each for trial in trials for each in trial.reliability):
        total = sums.setdefault(min(int(each["confidence"] * _BINS), _BINS - 1), [0, 0.0, 0.0])
        for at, value in enumerate((1, each["confidence"], each["accuracy"])):
            total[at] += each["n"] * value
    return [
        {"n": int(n), "confidence": confidence / n, "accuracy": right / n}
        for _, (n, confidence, right) in sorted(sums.items())
    ]


def _gap(bins: Sequence[Mapping[str, Any]]) -> float:
    """The expected calibration error."""
    gaps = sum(each["n"] * abs(each["confidence"] - each["accuracy"]) for each in bins)
    return float(gaps / sum(each["n"] for each in bins))
