"""Table and picture of a run on sparse parities, from its record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parity_table(record: Mapping[str, Any]) -> Table:
    """One row a net: its size, its rows, the loss, how many quanta it learnt, and in which order."""
    problem = record["plan"]["problem"]
    title = f"{problem['n_tasks']} parities of {problem['n_relevant']} of {problem['n_bits']} bits"
    table = Table(title=title, title_justify="left")
    for name in ("width", "parameters", "samples", "bits of loss", "learnt", "Spearman", "slope"):
        table.add_column(name, justify="right")
    for net in record["nets"]:
        order = net["order"]
        table.add_row(
            str(net["width"]),
            f"{net['parameters']:,}",
            f"{net['samples']:,}" if net["varied"] == "samples" else "all new",
            f"{net['loss']:.3f}",
            str(order["n_learnt"]),
            *("" if order[name] is None else f"{order[name]:.2f}" for name in ("spearman", "slope")),
        )
    return table


def losses_csv(record: Mapping[str, Any]) -> str:
    """The losses as `hybridqies scale fit` reads them: an arm for what was varied."""
    rows = [f"{net['varied']},{net['parameters']},{net['samples']},{net['loss']!r}" for net in record["nets"]]
    return "\n".join(["arm,size,tokens,loss", *rows]) + "\n"


def draw_parity(record: Mapping[str, Any]) -> Figure:
    """Loss of each quantum over the steps of the largest net, and the step at which each net learns it."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    losses, order = figure.subplots(1, 2)
    largest = max(record["nets"], key=lambda net: (net["parameters"], net["samples"]))
    colours = colormaps["viridis"]
    n_tasks = len(record["frequencies"])
    for task in range(n_tasks):
        along = [row[task] for row in largest["losses"]]
        losses.plot(largest["steps"], along, color=colours(task / n_tasks), linewidth=0.9)
    losses.set_xlabel("step")
    losses.set_ylabel("bits")
    losses.set_ylim(0, 1.3)
    losses.set_title(f"loss of each quantum, width {largest['width']}; dark: frequent", fontsize=10)
    for net in record["nets"]:
        learnt = [
            (record["frequencies"][task], step)
            for task, step in enumerate(net["learnt_at"])
            if step is not None
        ]
        if learnt:
            samples = f", {net['samples']:,} samples" if net["varied"] == "samples" else ""
            order.plot(*zip(*learnt, strict=True), "o", markersize=4, label=f"width {net['width']}{samples}")
            order.legend(frameon=False, fontsize=8)
    order.set_xscale("log")
    order.set_yscale("log")
    order.set_xlabel("frequency of a quantum")
    order.set_title("step at which it is learnt", fontsize=10)
    for axes in (losses, order):
        axes.grid(alpha=0.25)
    return figure
