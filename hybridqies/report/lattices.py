"""Table, curves and map of a lattice scan, from its recorded result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from hybridqies.circuit import load_lattice
from hybridqies.figures import COLOURS, plain, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = "#718096"
# Lattices with more sites have no room for their numbers.
_NUMBERED = 150

Row = Mapping[str, Any]


def lattice_table(result: Mapping[str, Any]) -> Table:
    """One row a point: ⟨Z⟩ over all sites and at one, what was discarded, and the drift from the χ before."""
    plan = result["plan"]
    table = Table(
        title=f"{plan['lattice']}: {result['n_sites']:,} sites, {result['n_edges']:,} edges",
        title_justify="left",
    )
    site = f"⟨Z⟩ at {plan['site']}"
    for name in ("θ", "steps", "χ", "mean ⟨Z⟩", site, "discarded", "drift", "bond", "seconds", ""):
        table.add_column(name, justify="left" if name == "" else "right")
    for row in result["rows"]:
        table.add_row(
            f"{row['theta']:g}",
            str(row["steps"]),
            str(row["chi"]),
            f"{row['mean']:.9f}",
            f"{row['site']:.9f}",
            f"{row['discarded']:.1e}",
            "" if row["drift"] is None else f"{row['drift']:.1e}",
            str(row["bond"]),
            f"{row['seconds']:.2f}",
            "" if row["converged"] else "not converged",
        )
    return table


def lattice_notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Which angles and steps have no value to rely on."""
    for (theta, steps), rows in _series(result):
        last = rows[-1]
        if not last["converged"]:
            drift = "" if last["drift"] is None else f", drift {last['drift']:.1e}"
            yield (
                f"θ = {theta:g}, {steps} steps: not converged at χ = {last['chi']} "
                f"(discarded {last['discarded']:.1e}{drift}; both should be below {result['threshold']:g}). "
                "A larger χ would tell more."
            )


def write_lattice_plots(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draws the curves over χ and the map of the lattice at the largest; returns both files."""
    return [
        save(draw_curves(result), folder / "curves.png"),
        save(draw_map(result), folder / "map.png", 200.0),
    ]


def draw_curves(result: Mapping[str, Any]) -> Figure:
    """⟨Z⟩, the discarded weight and the seconds against χ, a line for each θ and number of steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    values, discarded, seconds = figure.subplots(1, 3)
    for at, ((theta, steps), rows) in enumerate(_series(result)):
        style: dict[str, Any] = {"color": COLOURS[at % len(COLOURS)], "marker": "o", "markersize": 4}
        chis = [row["chi"] for row in rows]
        label = f"θ = {theta:g}, {steps} steps"
        values.plot(chis, [row["site"] for row in rows], label=label, **style)
        values.plot(chis, [row["mean"] for row in rows], **{**style, "marker": "s", "linestyle": ":"})
        discarded.plot(chis, [row["discarded"] for row in rows], **style)
        seconds.plot(chis, [row["seconds"] for row in rows], **style)
    values.set_title(f"⟨Z⟩ at site {result['plan']['site']}; dotted: mean of all sites", fontsize=10)
    discarded.set_title("discarded weight", fontsize=10)
    # Points that discard nothing lie on the line of zero.
    discarded.set_yscale("symlog", linthresh=1e-12)
    discarded.axhline(result["threshold"], color=_GREY, linestyle=":", label="threshold")
    discarded.legend(frameon=False, fontsize=8)
    seconds.set_title("seconds for a point", fontsize=10)
    for axes in (values, discarded, seconds):
        _set_chis(axes, result)
    if len(result["rows"]):
        figure.legend(*values.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(_title(result), fontsize=11)
    return figure


def _set_chis(axes: Axes, result: Mapping[str, Any]) -> None:
    chis = result["plan"]["chis"]
    axes.set_xscale("log", base=2)
    axes.set_xticks(chis, [str(chi) for chi in chis])
    axes.minorticks_off()
    axes.set_xlabel("χ")
    axes.grid(alpha=0.25)


def draw_map(result: Mapping[str, Any]) -> Figure:
    """The lattice with its sites coloured by ⟨Z⟩ at the last θ and steps and the largest χ."""
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    lattice, row = load_lattice(result["plan"]["lattice"]), result["rows"][-1]
    across, up = zip(*lattice.places, strict=True)
    width, height = max(across) - min(across), max(up) - min(up)
    longer = max(width, height, 1.0)
    # Inches of the longer side.
    side = min(7.2, 1.6 * longer)
    figure = Figure(figsize=(2.8 + side * width / longer, 1.8 + side * height / longer), layout="constrained")
    axes = figure.subplots()
    lines = [(lattice.places[first], lattice.places[second]) for first, second in lattice.edges]
    axes.add_collection(LineCollection(lines, colors="#a0aec0", linewidths=1.2, zorder=1))
    # As large as the distance between neighbours allows.
    size = min(260.0, (0.62 * side * 72 / longer) ** 2)
    drawn = axes.scatter(across, up, s=size, c=row["values"], cmap="viridis", zorder=2)
    x, y = lattice.places[result["plan"]["site"]]
    axes.scatter(x, y, s=size, facecolors="none", edgecolors="#d55e00", linewidths=2, zorder=3)
    if lattice.n_sites <= _NUMBERED:
        middle = (max(row["values"]) + min(row["values"])) / 2
        for number, place in enumerate(lattice.places):
            colour = "white" if row["values"][number] < middle else "black"
            axes.annotate(
                str(number), place, ha="center", va="center", fontsize=min(6.0, size**0.5 / 2.4), color=colour
            )
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.margins(0.06)
    figure.colorbar(drawn, ax=axes, label="⟨Z⟩", shrink=0.7)
    point = f"θ = {row['theta']:g}, {row['steps']} steps, χ = {row['chi']}"
    axes.set_title(f"{_title(result)}: {point}", fontsize=10)
    return figure


def _title(result: Mapping[str, Any]) -> str:
    return f"kicked Ising model on {plain(result['plan']['lattice'], 40)}"


def _series(result: Mapping[str, Any]) -> Iterator[tuple[tuple[float, int], Sequence[Row]]]:
    """The points of each θ and number of steps, by rising χ."""
    for key, rows in groupby(result["rows"], key=lambda row: (row["theta"], row["steps"])):
        yield key, list(rows)
