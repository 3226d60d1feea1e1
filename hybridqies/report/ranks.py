"""Table and picture of frequencies by rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def zipf_table(record: Mapping[str, Any]) -> Table:
    """What was played, how many states occurred, and the exponent with its range."""
    fit = record["fit"]
    table = Table("measured", "value", title=f"{record['game']}: {record['games']:,} random games")
    table.add_row("moves of a game", f"{record['moves']:.2f}")
    table.add_row("different states", f"{record['states']:,}")
    table.add_row(f"exponent, ranks {fit['first']:,} to {fit['last']:,}", f"{fit['exponent']:.4f}")
    table.add_row("weights of ranks", fit["weights"])
    table.add_row("error of log frequency", f"{fit['error']:.3f}")
    return table


def draw_ranks(record: Mapping[str, Any]) -> Figure:
    """Frequencies by rank in log-log, with the fitted line over its range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    ranks, counts = zip(*record["curve"], strict=True)
    fit = record["fit"]
    along = np.geomspace(fit["first"], fit["last"], 50)
    axes.plot(ranks, counts, color="#0072b2", label="measured")
    label = f"rank^−{fit['exponent']:.3f}"
    line = np.exp(fit["height"]) * along ** -fit["exponent"]
    axes.plot(along, line, color="#d55e00", linestyle="--", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rank of a state")
    axes.set_ylabel("times that it occurred")
    axes.set_title(f"{record['game']}, {record['games']:,} random games", fontsize=11)
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return figure
