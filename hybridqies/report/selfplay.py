"""Tables and picture of self-play, from its records alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rounds_table(record: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """One row a width: length of games and losses in its first and its last round."""
    table = Table(
        "width", title="First and last round; losses are on games not yet trained on", title_justify="left"
    )
    for name in ("rounds", "moves", "policy loss, nats", "value loss"):
        table.add_column(name, justify="right")
    for width, rounds in record.items():
        first, last = rounds[0], rounds[-1]
        pairs = [
            f"{first[name]:.{digits}f} → {last[name]:.{digits}f}"
            for name, digits in (("moves", 1), ("policy_loss", 3), ("value_loss", 3))
        ]
        table.add_row(width, str(len(rounds)), *pairs)
    return table


def ratings_table(record: Mapping[str, Any]) -> Table:
    """One row a player, from the best on: Elo with its limits."""
    table = Table("player", title="Elo above random play", title_justify="left")
    for name in ("parameters", "Elo", "95 % limits"):
        table.add_column(name, justify="right")
    for row in sorted(record["players"], key=lambda row: -row["elo"]):
        parameters = "" if row["parameters"] is None else f"{row['parameters']:,}"
        limits = "" if row["elo"] == row["low"] else f"{row['low']:.0f} … {row['high']:.0f}"
        table.add_row(row["player"], parameters, f"{row['elo']:.0f}", limits)
    return table


def points_table(record: Mapping[str, Any]) -> Table:
    """The points of each player (rows) against each other in percent of what could be won."""
    names = [row["player"] for row in record["players"]]
    most = 2 * record["openings"]
    table = Table("points, %", title_justify="left")
    for at in range(len(names)):
        # Names would not fit beside each other.
        table.add_column(str(at + 1), justify="right")
    for at, name in enumerate(names):
        row = record["points"][at]
        shares = ("" if other == at else f"{100 * points / most:.0f}" for other, points in enumerate(row))
        table.add_row(f"{at + 1}  {name}", *shares)
    return table


def losses_table(record: Mapping[str, Any]) -> Table:
    """One row a width: the exponent, and the share of each bin's excess loss that was left on average."""
    title = "Share of the excess value loss that was left, averaged over rounds, by rank of the state"
    table = Table("width", "exponent", title=title, title_justify="left")
    for low, high in _bins(record):
        table.add_column(f"{low:,}–{high:,}", justify="right")
    table.add_column("Spearman", justify="right")
    for size in record["sizes"]:
        ordered = "" if size["spearman"] is None else f"{size['spearman']:.2f}"
        shares = (f"{share:.2f}" for share in size["remaining"])
        table.add_row(str(size["width"]), f"{size['fit']['exponent']:.3f}", *shares, ordered)
    return table


def changes_table(record: Mapping[str, Any]) -> Table:
    """One row a group of states: how the value loss changes from the smallest network to the largest."""
    small, large = record["compared"]
    title = f"Value loss of width {large} minus that of width {small}; above 0 is inverse scaling"
    table = Table("states", title=title, title_justify="left")
    for name in ("different", "positions", "change", "95 % limits"):
        table.add_column(name, justify="right")
    for row in record["changes"]:
        change = "" if row["change"] is None else f"{row['change']:+.4f}"
        limits = "" if row["low"] is None else f"{row['low']:+.4f} … {row['high']:+.4f}"
        table.add_row(row["group"], f"{row['n_states']:,}", f"{row['n_positions']:,}", change, limits)
    return table


def draw_losses(record: Mapping[str, Any]) -> Figure:
    """For each width, the excess value loss of each bin of ranks over the rounds."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    sizes = record["sizes"]
    figure = Figure(figsize=(3.6 * len(sizes) + 1, 3.8), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    bins = _bins(record)
    for axes, size in zip(panels, sizes, strict=True):
        for at, (low, high) in enumerate(bins):
            along = [row[at] for row in size["excess"]]
            axes.plot(along, color=colormaps["viridis"](at / len(bins)), label=f"{low:,}–{high:,}")
        axes.set_title(f"width {size['width']}", fontsize=10)
        axes.set_xlabel("round")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("excess value loss")
    panels[-1].legend(title="rank", frameon=False, fontsize=8)
    return figure


def _bins(record: Mapping[str, Any]) -> list[tuple[int, int]]:
    edges = record["edges"]
    return [(low, high - 1) for low, high in itertools.pairwise(edges)]
