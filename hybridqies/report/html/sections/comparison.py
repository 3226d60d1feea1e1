"""How the heads of a run, or the cells of a study, compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hybridqies.report.html.blocks import KeyFigures, Listing, Table
from hybridqies.report.html.plots import Axis, Block, Plot, Series, Shape
from hybridqies.report.html.records import ArmRecord, RunRecord
from hybridqies.report.tables import comparison_table
from hybridqies.report.words import head_label
from hybridqies.study.statistics.families import holm
from hybridqies.study.statistics.mcnemar import Paired, mcnemar
from hybridqies.tasks import Metric

_LEVEL = 0.05


def compare_heads(run: RunRecord) -> Iterator[Block]:
    """Key figures, the table of all heads with intervals over texts, and verdicts in words."""
    own, metric = run.arms[0].result, run.metrics[0]
    yield KeyFigures(tuple(_key_figures(own, metric)))
    table = Table.of("comparison", comparison_table(run.comparison))
    if own["classes"]:
        ends = [share_interval(arm) for arm in run.arms]
        cells = [f"{100 * low:.2f} to {100 * high:.2f}" for low, high in ends]
        table = table.with_column("test accuracy", "95 % interval", cells)
    yield table
    if own["classes"]:
        yield _plot(run)
    yield Listing(tuple(_notes(run)))


def share_interval(arm: ArmRecord) -> tuple[float, float]:
    """Wilson's 95 % interval of the test accuracy, over the test texts."""
    from scipy import stats

    n = arm.result["n_test"]
    found = stats.binomtest(round(arm.result["accuracy"] * n), n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _key_figures(own: Mapping[str, Any], metric: Metric) -> Iterator[tuple[str, str]]:
    yield metric.write_with_unit(own[metric.name]), f"test {metric.label}"
    yield f"{own['n_parameters']:,}", "trained parameters"
    if own["n_qubits"] is not None:
        yield str(own["n_qubits"]), "qubits"
    yield f"{own['n_train']:,}", "training rows"


def _verdicts(run: RunRecord) -> Iterator[str]:
    """Each other head against the run's own on the same texts, by McNemar's test, Holm over all."""
    own, *others = [(arm.name, arm.mistakes) for arm in run.arms]
    known = [(name, wrong) for name, wrong in others if wrong is not None]
    if own[1] is None or not known:
        return
    pairs = [(name, _compare(own[1], wrong)) for name, wrong in known]
    corrected = holm([pair.p_value for _, pair in pairs])
    for (name, pair), p_value in zip(pairs, corrected, strict=True):
        verdict = "no difference was shown"
        if p_value <= _LEVEL:
            verdict = "better" if pair.difference > 0 else "worse"
        yield (
            f"{own[0]} against {name} on the same {pair.n_texts:,} texts: {verdict} (alone right "
            f"{pair.arm_only:,} times against {pair.reference_only:,}, p = {p_value:.3g} by McNemar's test, "
            f"Holm over {len(pairs)})."
        )


def _compare(own: Mapping[str, Any], other: Mapping[str, Any]) -> Paired:
    right = np.ones((2, own["n_test"]), dtype=bool)
    for row, wrong in zip(right, (own["wrong"], other["wrong"]), strict=True):
        row[wrong] = False
    return mcnemar(np.arange(own["n_test"]), right[0], right[1])


def _plot(run: RunRecord) -> Plot:
    names = tuple(head_label(arm.result) for arm in run.arms)
    ends = [share_interval(arm) for arm in run.arms]
    series = Series(
        "heads",
        tuple(100 * arm.result["accuracy"] for arm in run.arms),
        tuple(range(len(names))),
        tuple(100 * low for low, _ in ends),
        tuple(100 * high for _, high in ends),
        shape=Shape.DOTS,
    )
    caption = "Test accuracy with 95 % intervals over the test texts"
    text = "A dot and a bar for each head. Bars that overlap do not show that two heads are equal."
    return Plot("accuracy", caption, text, Axis("test accuracy (%)"), Axis("head", names=names), (series,))


def _notes(run: RunRecord) -> Iterator[str]:
    yield (
        "Intervals are Wilson's, over the test texts: they say how far other texts could move each figure. "
        "One training says nothing of how far another seed could."
    )
    yield from _verdicts(run)
    if run.comparison["overlap"]:
        yield f"{run.comparison['overlap']} test text(s) are also among the training texts."
    for arm in run.arms:
        for verdict in arm.result["verdicts"]:
            yield f"{arm.name} {verdict}"
