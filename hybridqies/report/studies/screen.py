"""Table and plot of a screen, from its recorded result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from hybridqies.figures import save
from hybridqies.report.studies.cells import (
    mean_of,
    metric_of,
    range_of,
    seeds_of,
    training_notes,
    with_unit,
)
from hybridqies.report.studies.plots import half_normal
from hybridqies.report.studies.report import StudyReport
from hybridqies.tasks import Metric


def screen_table(result: Mapping[str, Any]) -> Table:
    """One row a factor, the largest effect first; a row a run where effects could not be judged."""
    if result["screening"] is None:
        return _runs(result)
    table = Table(title=f"{_title(result)}: effects on {result['response']}", title_justify="left")
    table.add_column("factor", no_wrap=True)
    metric = metric_of(result)
    effect_heading = with_unit("effect", metric.unit_of_differences)
    for name in ("low", "high", effect_heading, "95 %\ninterval", "p\n(Holm)"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    factors = {each["name"]: each for each in result["design"]["factors"]}
    ordered = sorted(result["screening"]["effects"], key=lambda each: -abs(each["value"]))
    for effect in ordered:
        factor = factors[effect["name"]]
        table.add_row(
            effect["name"],
            str(factor["low"]),
            str(factor["high"]),
            *_figures(effect, metric),
            f"{effect['p_holm']:.3f}",
            "active" if effect["active"] else "no effect was shown",
        )
    return table


def screen_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """The design and its aliasing in words, where the error is from, and what the table alone would hide."""
    yield result["design"]["statement"] + "."
    if result["screening"] is None:
        yield f"Effects are not judged: {result['unjudged']}."
    else:
        yield from _judgement(result["screening"], metric_of(result))
    yield f"The response is {result['response']}; no test set was read, so that levels may be chosen by it."
    if result["left_out"]:
        left_out = ", ".join(map(str, result["left_out"]))
        yield f"Left out, because a run of theirs failed: seeds {left_out}."
    yield from training_notes(result)


def write_screen_plot(result: Mapping[str, Any], path: Path) -> None:
    """Draws the half-normal plot and the intervals into `path`; nothing when no effect could be judged."""
    if result["screening"] is not None:
        save(half_normal(result["screening"], metric_of(result)), path)


def _judgement(screening: Mapping[str, Any], metric: Metric) -> Iterator[str]:
    effect, freedom = screening["effects"][0], screening["degrees_of_freedom"]
    unit = f" {metric.unit_of_differences}" if metric.unit_of_differences else ""
    yield (
        f"Error from {screening['error']}: {metric.write(effect['standard_error'])}{unit} for each effect, "
        f"{freedom:.3g} degrees of freedom; active are effects with p ≤ 0.05 after Holm over all factors."
    )
    curvature = screening["curvature"]
    if curvature is not None:
        value, interval = _figures(curvature, metric)
        yield f"Curvature, corners minus centre: {value}{unit}, {interval}, p = {curvature['p_value']:.3f}."


def _figures(effect: Mapping[str, Any], metric: Metric) -> tuple[str, str]:
    value, low, high = (metric.write_difference(effect[name]) for name in ("value", "low", "high"))
    return value, f"{low} to {high}"


def _runs(result: Mapping[str, Any]) -> Table:
    table = Table(title=f"{_title(result)}: runs of the design", title_justify="left")
    table.add_column("run", no_wrap=True)
    table.add_column("levels")
    table.add_column("trained\nparameters", justify="right")
    metric = metric_of(result)
    table.add_column(with_unit(result["response"], metric.unit), justify="right")
    for cell in result["cells"]:
        levels = ", ".join(f"{name}={value}" for name, value in cell["levels"].items())
        found = cell[f"validation_{metric.name}"]
        figures = ("-", "-") if found is None else (range_of(cell["n_parameters"]), mean_of(found, metric))
        table.add_row(cell["label"], levels, *figures)
    return table


def _title(result: Mapping[str, Any]) -> str:
    return f"{result['data']}: {result['plan']['arms'][0]}, {seeds_of(result)}"


REPORT = StudyReport(screen_table, screen_notes, write_screen_plot)
