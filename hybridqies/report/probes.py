"""Table and picture of probes, from their record alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridqies.compression.perplexity import mean_interval
from hybridqies.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """Accuracy of an arm of a size on a probe; of several seeds their mean and its t interval."""

    accuracy: float
    low: float
    high: float
    n_parameters: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Cell:
        """One row a seed."""
        if len(rows) == 1:
            return cls(*(rows[0][key] for key in ("accuracy", "low", "high", "n_parameters")))
        found = mean_interval([row["accuracy"] for row in rows])
        return cls(found.value, max(0.0, found.low), min(1.0, found.high), rows[0]["n_parameters"])


def probe_table(record: Mapping[str, Any]) -> Table:
    """One row a probe: chance, and accuracy with its interval for each size and arm, in percent."""
    from rich.table import Table

    plan, cells = record["plan"], cells_of(record)
    seeds = "Wilson over sequences" if plan["seeds"] == 1 else f"t over {plan['seeds']} seeds"
    title = f"Accuracy in %, with its 95 % interval ({seeds}); {plan['steps']} steps"
    table = Table(title=title, title_justify="left")
    table.add_column("probe")
    table.add_column("chance", justify="right")
    for size in plan["sizes"]:
        for arm in plan["arms"]:
            table.add_column(f"{arm}\n{size}", justify="right")
    for probe in plan["probes"]:
        own = [cells[probe, arm, size] for size in plan["sizes"] for arm in plan["arms"]]
        chance = next(row["chance"] for row in record["rows"] if row["probe"] == probe)
        table.add_row(probe, f"{100 * chance:.1f}", *map(_write, own))
    return table


def _write(cell: Cell) -> str:
    return f"{100 * cell.accuracy:.1f}\n[{100 * cell.low:.1f}, {100 * cell.high:.1f}]"


def cells_of(record: Mapping[str, Any]) -> dict[tuple[str, str, str], Cell]:
    """By probe, arm and size."""
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for row in record["rows"]:
        grouped.setdefault((row["probe"], row["arm"], row["size"]), []).append(row)
    return {key: Cell.of(rows) for key, rows in grouped.items()}


def draw_probes(record: Mapping[str, Any]) -> Figure:
    """Accuracy against parameters with intervals, a panel for each probe; dotted: chance."""
    from matplotlib.figure import Figure

    plan, cells = record["plan"], cells_of(record)
    n_columns = min(3, len(plan["probes"]))
    n_lines = math.ceil(len(plan["probes"]) / n_columns)
    figure = Figure(figsize=(3.1 * n_columns + 0.6, 2.7 * n_lines + 0.5), layout="constrained")
    panels = figure.subplots(n_lines, n_columns, squeeze=False, sharey=True).flat
    for axes, probe in zip(panels, plan["probes"], strict=False):
        for at, arm in enumerate(plan["arms"]):
            own = [cells[probe, arm, size] for size in plan["sizes"]]
            axes.errorbar(
                [cell.n_parameters for cell in own],
                [cell.accuracy for cell in own],
                # Earlier records have ends that rounding put on the wrong side.
                yerr=[
                    [max(0.0, c.accuracy - c.low) for c in own],
                    [max(0.0, c.high - c.accuracy) for c in own],
                ],
                color=COLOURS[at % len(COLOURS)],
                marker="o",
                markersize=4,
                capsize=2,
                label=arm,
            )
        chance = next(row["chance"] for row in record["rows"] if row["probe"] == probe)
        axes.axhline(chance, color="#718096", linestyle=":")
        axes.set_xscale("log")
        # The sizes are those of the first arm; the others have a few more parameters.
        ticks = [cells[probe, plan["arms"][0], size].n_parameters for size in plan["sizes"]]
        axes.set_xticks(ticks, plan["sizes"])
        axes.set_xticks([], minor=True)
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(probe, fontsize=10)
        axes.grid(alpha=0.25)
    for axes in list(figure.axes)[len(plan["probes"]) :]:
        axes.set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.supxlabel(f"parameters; sizes are those of {plan['arms'][0]}", fontsize=10)
    figure.supylabel("accuracy", fontsize=10)
    return figure
