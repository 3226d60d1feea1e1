"""Table and plot of an ablation, from its recorded result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from hybridqies.report.study_plots import ablation
from hybridqies.report.study_tables import (
    add_figures,
    comparison_notes,
    figures_of,
    save,
    setting_of,
    training_notes,
)


def ablation_table(result: Mapping[str, Any]) -> Table:
    """One row a variant from what `study.json` of an ablation holds."""
    plan = result["plan"]
    table = Table(title=f"{setting_of(result)}, {plan['qubits'][0]} qubits", title_justify="left")
    table.add_column("variant", no_wrap=True)
    add_figures(table)
    compared = {each["arm"]: each for each in result["comparisons"]}
    for cell in result["cells"]:
        found = figures_of(cell, compared.get(cell["label"]), len(plan["seeds"]))
        table.add_row(cell["label"], *found)
    return table


def ablation_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What each variant is, each comparison in words, and what the table alone would hide."""
    for cell in result["cells"]:
        if cell["module"] is not None:
            yield f"{cell['label']}: {cell['meaning']}."
    yield ""
    for each in result["comparisons"]:
        yield each["statement"] + "."
    yield from comparison_notes(result)
    yield from training_notes(result)


def write_ablation_plot(result: Mapping[str, Any], path: Path) -> None:
    """Draws differences to the whole head into `path`; nothing when nothing was compared."""
    if result["comparisons"]:
        save(ablation(result["comparisons"]), path)
