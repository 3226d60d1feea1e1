"""Table and plot of a sweep, from its recorded result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from hybridqies.figures import save
from hybridqies.report.studies.cells import (
    add_figures,
    comparison_notes,
    figures_of,
    metric_of,
    seeds_of,
    setting_of,
    training_notes,
)
from hybridqies.report.studies.plots import metric_against_qubits
from hybridqies.report.studies.report import StudyReport


def sweep_table(result: Mapping[str, Any]) -> Table:
    """One row an arm and number of qubits from what `study.json` of a sweep holds."""
    plan = result["plan"]
    against = f", tested against {plan['reference']}" if result["comparisons"] else ""
    table = Table(title=setting_of(result) + against, title_justify="left")
    table.add_column("arm", no_wrap=True)
    table.add_column("qubits", justify="right")
    metric = metric_of(result)
    add_figures(table, metric)
    compared = {(each["arm"], each["n_qubits"]): each for each in result["comparisons"]}
    for cell in result["cells"]:
        qubits = "" if cell["n_qubits"] is None else str(cell["n_qubits"])
        found = compared.get((cell["arm"], cell["n_qubits"]))
        is_reference = bool(against) and cell["arm"] == plan["reference"]
        figures = figures_of(cell, metric, found, len(plan["seeds"]), is_reference=is_reference)
        table.add_row(cell["arm"], qubits, *figures)
    return table


def sweep_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What the table alone would hide: settings by hand, trainings cut short, too few seeds, failures."""
    by_hand = sorted(result["plan"]["options"])
    if by_hand:
        yield f"Set by hand, and so not searched alike: options of {', '.join(by_hand)}."
    yield from comparison_notes(result)
    yield from training_notes(result)


def write_sweep_plot(result: Mapping[str, Any], path: Path) -> None:
    """Draws the metric against qubits into `path`; nothing when no trial finished."""
    metric = metric_of(result)
    rows = [
        {"arm": cell["arm"], "n_qubits": cell["n_qubits"], **cell[metric.name]}
        for cell in result["cells"]
        if cell[metric.name] is not None
    ]
    if rows:
        title = f"{result['data']}, {seeds_of(result)}"
        save(metric_against_qubits(rows, metric, title=title), path)


REPORT = StudyReport(sweep_table, sweep_notes, write_sweep_plot)
