"""Table and plot of tested cells against a reference, and what the tables of all studies share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from hybridqies.report.figures import save
from hybridqies.report.studies.plots import differences
from hybridqies.report.studies.report import StudyReport


def cells_table(result: Mapping[str, Any]) -> Table:
    """One row a cell from what `study.json` of a study of tested cells holds."""
    plan = result["plan"]
    table = Table(title=f"{setting_of(result)}, {plan['qubits'][0]} qubits", title_justify="left")
    table.add_column("variant", no_wrap=True)
    add_figures(table)
    compared = {each["arm"]: each for each in result["comparisons"]}
    references = {each["reference"] for each in result["comparisons"]}
    for cell in result["cells"]:
        label = cell["label"]
        found = figures_of(cell, compared.get(label), len(plan["seeds"]), is_reference=label in references)
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
        save(differences(result["comparisons"]), path)


REPORT = StudyReport(cells_table, cells_notes, write_differences)


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


def add_figures(table: Table) -> None:
    """The columns that `figures_of` fills."""
    for name in (
        "trained\nparameters",
        "test accuracy\n(%)",
        "95 %\ninterval",
        "difference\n(points)",
        "p\n(Holm)",
    ):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("con-\nverged", justify="right")


def figures_of(
    cell: Mapping[str, Any], compared: Mapping[str, Any] | None, n_seeds: int, *, is_reference: bool
) -> list[str]:
    """A tested cell and its comparison, None where it was not compared."""
    if cell["accuracy"] is None:
        return [*["-"] * 5, "no trial came through", ""]
    difference, p_value, verdict = "", "", "the reference" if is_reference else ""
    if compared is not None:
        seeds = compared["over_seeds"]
        difference = f"{100 * seeds['difference']['mean']:+.2f}"
        p_value, verdict = f"{seeds['p_holm']:.3f}", compared["verdict"]
    return [
        range_of(cell["n_parameters"]),
        mean_of(cell["accuracy"]),
        _interval(cell["accuracy"]),
        difference,
        p_value,
        verdict,
        f"{sum(cell['converged'].values())}/{n_seeds}",
    ]


def range_of(counts: list[int]) -> str:
    """A count, or the least and the greatest of several."""
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def mean_of(spread: Mapping[str, Any]) -> str:
    """Mean and deviation in percent."""
    if spread["deviation"] is None:
        return f"{100 * spread['mean']:.2f}"
    return f"{100 * spread['mean']:.2f} ± {100 * spread['deviation']:.2f}"


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


def _interval(spread: Mapping[str, Any]) -> str:
    return "" if spread["low"] is None else f"{100 * spread['low']:.2f} to {100 * spread['high']:.2f}"
