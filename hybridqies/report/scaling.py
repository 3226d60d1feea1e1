"""Table and picture of scaling laws, from the recorded fit alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from hybridqies.figures import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vPX"
_HEADINGS = {"E": "E", "A": "A", "alpha": "α", "B": "B", "beta": "β", "a_opt": "a_opt"}


def scaling_table(fit: Mapping[str, Any]) -> Table:
    """One row an arm: fitted values with 95 % intervals, and the median error of the fitted losses."""
    terms = {"size": "A / size^α", "tokens": "B / tokens^β"}
    law = " + ".join(["E", *(terms[name] for name in fit["quantities"])])
    table = Table(
        title=f"loss = {law}; 95 % intervals by {fit['draws']} bootstrap refits", title_justify="left"
    )
    symbols = [symbol for symbol in _HEADINGS if symbol in fit["arms"][0]["values"]]
    for heading in ("arm", "points", *(_HEADINGS[symbol] for symbol in symbols), "error"):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for arm in fit["arms"]:
        table.add_row(
            arm["arm"],
            str(len(arm["points"])),
            *(_interval(arm["values"][symbol]) for symbol in symbols),
            f"{100 * arm['error']:.2g} %",
        )
    return table


def draw_scaling(fit: Mapping[str, Any]) -> Figure:
    """Losses against size (or tokens) with the law and its 95 % band, and errors of the fitted losses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    losses, errors = figure.subplots(1, 2, width_ratios=[3, 2])
    for at, arm in enumerate(fit["arms"]):
        _draw_arm(losses, errors, arm, at)
    quantity = fit["quantities"][0]
    losses.set_xscale("log")
    losses.set_yscale("log")
    losses.set_xlabel(quantity)
    losses.set_ylabel("loss")
    fixed = f"; curves: at the most {fit['quantities'][1]}" if len(fit["quantities"]) > 1 else ""
    losses.set_title(f"measured losses and laws{fixed}", fontsize=10)
    losses.legend(frameon=False, fontsize=9)
    errors.axhline(0, color="#718096", linewidth=0.8)
    errors.set_xscale("log")
    errors.set_xlabel(quantity)
    errors.set_title("measured − fitted, %", fontsize=10)
    for axes in (losses, errors):
        axes.grid(alpha=0.25)
    return figure


def _draw_arm(losses: Axes, errors: Axes, arm: Mapping[str, Any], at: int) -> None:
    colour, marker = COLOURS[at % len(COLOURS)], _MARKERS[at % len(_MARKERS)]
    along, values, low, high = zip(*arm["curve"], strict=True)
    where = [point[0] for point in arm["points"]]
    measured, fitted = ([point[column] for point in arm["points"]] for column in (-2, -1))
    losses.scatter(where, measured, s=16, color=colour, marker=marker, label=plain(arm["arm"], 40))
    losses.plot(along, values, color=colour)
    losses.fill_between(along, low, high, color=colour, alpha=0.18, linewidth=0)
    rest = [100 * (loss / law - 1) for loss, law in zip(measured, fitted, strict=True)]
    errors.scatter(where, rest, s=16, color=colour, marker=marker)


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['value']:.4g} [{found['low']:.4g}, {found['high']:.4g}]"
