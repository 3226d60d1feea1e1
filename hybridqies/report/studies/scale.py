"""Table and pictures of a scaling study, from its recorded result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from hybridqies.report.studies.report import StudyReport


def scale_table(result: Mapping[str, Any]) -> Table:
    """One row for each text, arm, size and number of tokens."""
    table = Table(title="loss on the test text, nats a token", title_justify="left")
    for name in ("text", "arm"):
        table.add_column(name, no_wrap=True)
    for name in ("parameters", "operations\nper token", "tokens", "test loss", "95 %\ninterval", "seconds"):
        table.add_column(name, justify="right")
    for cell in result["cells"]:
        table.add_row(cell["text"], cell["arm"], *_figures(cell))
    return table


def scale_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Failures, and rates at an end of the range that was searched."""
    rates = result["plan"]["rates"]
    chosen = [rate for cell in result["cells"] for rate in cell["rates"].values()]
    at_end = sum(rate in (min(rates), max(rates)) for rate in chosen)
    if len(rates) > 1 and at_end:
        yield (
            f"{at_end} of {len(chosen)} trainings had the smallest or largest of the rates that were tried; "
            "a wider range could change their figures."
        )
    for cell in result["cells"]:
        for seed, error in cell["errors"].items():
            yield f"Failed: {cell['text']}, {cell['arm']}, {cell['size']}, seed {seed}: {error}"


def write_scale_plot(result: Mapping[str, Any], path: Path) -> None:
    """Draws nothing yet."""


def _figures(cell: Mapping[str, Any]) -> list[str]:
    loss = cell["loss"]
    if loss is None:
        return ["-"] * 6
    interval = "" if loss["low"] is None else f"{loss['low']:.4f} to {loss['high']:.4f}"
    return [
        f"{cell['n_parameters']:,}",
        f"{cell['flops_per_token']:,}",
        f"{cell['n_tokens']:,}",
        f"{loss['mean']:.4f}",
        interval,
        f"{cell['training_seconds']['mean']:.0f}",
    ]


REPORT = StudyReport(scale_table, scale_notes, write_scale_plot)
