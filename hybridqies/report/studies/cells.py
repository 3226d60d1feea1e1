"""Table and plot of tested cells against a reference, and what the tables of all studies share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from hybridqies.figures import save
from hybridqies.report.studies.plots import differences
from hybridqies.report.studies.report import StudyReport
from hybridqies.tasks import Metric


def cells_table(result: Mapping[str, Any]) -> Table:
    """One row a cell from what `study.json` of a study of tested cells holds."""
    plan = result["plan"]
    table = Table(title=f"{setting_of(result)}, {plan['qubits'][0]} qubits", title_justify="left")
    table.add_column("variant", no_wrap=True)
    metric = metric_of(result)
    add_figures(table, metric)
    compared = {each["arm"]: each for each in result["comparisons"]}
    references = {each["reference"] for each in result["comparisons"]}
    for cell in result["cells"]:
        label = cell["label"]
        is_reference, n_seeds = label in references, len(plan["seeds"])
        found = figures_of(cell, metric, compared.get(label), n_seeds, is_reference=is_reference)
        table.add_row(label, *found)
    return table


def cells_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Each comparison in words, and what the table alone would hide."""
    for each in result["comparisons"]:
        yield each["statement"] + "."
    yield from comparison_notes(result)
    yield from training_notes(result)


def write_differences(result: Mapping[str, Any], path: Path) -> None:
    """Draws differences to the reference into `path`; nothing when nothing was compared."""
    if result["comparisons"]:
        save(differences(result["comparisons"], metric_of(result)), path)


REPORT = StudyReport(cells_table, cells_notes, write_differences)


def metric_of(result: Mapping[str, Any]) -> Metric:
    """What the study chose and compared by."""
    return Metric(**result["metric"])


def setting_of(result: Mapping[str, Any]) -> str:
    """Data, seeds and search, as titles say them."""
    plan = result["plan"]
    searched = (
        "no search" if plan["budget"] == 1 else f"{plan['budget']} configurations searched by every arm"
    )
    return f"{result['data']}: {seeds_of(result)}, {searched}"


def seeds_of(result: Mapping[str, Any]) -> str:
    """How many seeds, in words."""
    count = len(result["plan"]["seeds"])
    return "1 seed" if count == 1 else f"{count} seeds"


def add_figures(table: Table, metric: Metric) -> None:
    """The columns that `figures_of` fills."""
    for name in (
        "trained\nparameters",
        with_unit(f"test {metric.label}", metric.unit),
        "95 %\ninterval",
        with_unit("difference", metric.unit_of_differences),
        "p\n(Holm)",
    ):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("con-\nverged", justify="right")


def with_unit(name: str, unit: str) -> str:
    """The heading of a column, with its unit on a line of its own."""
    return f"{name}\n({unit})" if unit else name


def figures_of(
    cell: Mapping[str, Any],
    metric: Metric,
    compared: Mapping[str, Any] | None,
    n_seeds: int,
    *,
    is_reference: bool,
) -> list[str]:
    """A tested cell and its comparison, None where it was not compared."""
    tested = cell[metric.name]
    if tested is None:
        return [*["-"] * 5, "no trial finished", ""]
    difference, p_value, verdict = "", "", "the reference" if is_reference else ""
    if compared is not None:
        seeds = compared["over_seeds"]
        difference = metric.write_difference(seeds["difference"]["mean"])
        p_value, verdict = f"{seeds['p_holm']:.3f}", compared["verdict"]
    return [
        range_of(cell["n_parameters"]),
        mean_of(tested, metric),
        _interval(tested, metric),
        difference,
        p_value,
        verdict,
        f"{sum(cell['converged'].values())}/{n_seeds}",
    ]


def range_of(counts: list[int]) -> str:
    """A count, or the least and the greatest of several."""
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def mean_of(spread: Mapping[str, Any], metric: Metric) -> str:
    """Mean and deviation."""
    mean = metric.write(spread["mean"])
    return mean if spread["deviation"] is None else f"{mean} ± {metric.write(spread['deviation'])}"


def comparison_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Whether there were too few seeds to show anything."""
    blind = next((each for each in result["comparisons"] if not each["over_seeds"]["can_show"]), None)
    if blind is not None:
        seeds = blind["over_seeds"]
        yield (
            f"{seeds['n_seeds']} seeds cannot show any difference in a family of {blind['family']}: "
            f"at least {seeds['seeds_needed']} are needed."
        )


def training_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Trainings that were cut short, and failures."""
    verdicts = [converged for cell in result["cells"] for converged in cell["converged"].values()]
    if not all(verdicts):
        cut = verdicts.count(False)
        yield f"{cut} of {len(verdicts)} trainings had not converged; more epochs could change their figures."
    for cell in result["cells"]:
        for seed, error in cell["errors"].items():
            yield f"Failed: {cell['label']}, seed {seed}: {error}"


def _interval(spread: Mapping[str, Any], metric: Metric) -> str:
    return "" if spread["low"] is None else f"{metric.write(spread['low'])} to {metric.write(spread['high'])}"
