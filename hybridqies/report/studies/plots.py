"""Plots of a study from its recorded numbers: its metric against qubits, effects, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hybridqies.figures import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hybridqies.tasks import Metric

# Okabe and Ito's colours are told apart by colour-blind eyes as well; dashes carry the arms beyond them.
_MARKERS, _DASHES = "osD^vPX", ("-", "--", ":", "-.")
_ACTIVE, _GREY = "#d55e00", "#718096"
_LONGEST_NAME = 44


def metric_against_qubits(rows: Sequence[Mapping[str, Any]], metric: Metric, *, title: str) -> Figure:
    """The mean of the metric for every arm against qubits, with 95 % bands.

    Each row has `arm`, `n_qubits` (None where the arm has none), `mean`, and `low` and `high` (None where
    there was one seed). Arms without qubits are level lines, with their intervals in a panel beside.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.8), layout="constrained")
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    qubits = sorted({row["n_qubits"] for row in rows if row["n_qubits"] is not None})
    level = [row for row in rows if row["n_qubits"] is None]
    widths = [8, 0.4 + 0.3 * len(level)] if level and qubits else [1]
    panels = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    for at, arm in enumerate(arms):
        own = [row for row in rows if row["arm"] == arm and row["n_qubits"] is not None]
        if own:
            _curve(panels[0], sorted(own, key=lambda row: int(row["n_qubits"])), metric.scale, at)
    for place, row in enumerate(level):
        _level(panels, row, metric.scale, place, arms.index(row["arm"]))
    if level:
        panels[-1].set_xticks([])
        panels[-1].set_xlabel("without qubits")
        panels[-1].set_xlim(-0.7, len(level) - 0.3)
    if qubits:
        panels[0].set_xticks(qubits)
        panels[0].set_xlabel("qubits")
    panels[0].set_ylabel(metric.name_with_unit("test"))
    if metric.is_share:
        low, high = panels[0].get_ylim()
        # A t interval over two seeds may reach far beyond what a share can be.
        panels[0].set_ylim(max(low, -2), min(high, 102))
    for axes in panels:
        axes.grid(alpha=0.25)
    figure.suptitle(plain(title, 80), fontsize=11)
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def half_normal(screening: Mapping[str, Any], metric: Metric) -> Figure:
    """Effects of a screen: sizes against half-normal quantiles, and each with its 95 % interval.

    `screening` is what `Screening.to_mapping` gave. Noise alone lies on a line through the origin.
    """
    from matplotlib.figure import Figure

    effects, spare = screening["effects"], screening["spare"]
    scale, unit = metric.scale, metric.unit_of_differences
    figure = Figure(figsize=(10.5, max(4.2, 1.6 + 0.32 * len(effects))), layout="constrained")
    left, right = figure.subplots(1, 2)
    for chosen, colour, marker, label in (
        ([each for each in effects if each["active"]], _ACTIVE, "o", "active (Holm, 5 %)"),
        ([each for each in effects if not each["active"]], COLOURS[0], "o", "not shown to be active"),
        (spare, _GREY, "x", "spare contrast: interactions or noise"),
    ):
        if chosen:
            sizes = [scale * abs(each["value"]) for each in chosen]
            left.scatter([each["quantile"] for each in chosen], sizes, c=colour, marker=marker, label=label)
    _reference_line(left, [*effects, *spare], scale * effects[0]["standard_error"])
    _label(left, [each for each in effects if each["active"]], scale)
    left.set_xlabel("half-normal quantile")
    left.set_ylabel(_with_unit("size of the effect", unit))
    # Room above the largest effect for its name.
    left.set_ylim(0, 1.08 * left.get_ylim()[1])
    left.legend(frameon=False, fontsize=8, loc="upper left")
    _intervals(right, effects, scale, [_ACTIVE if each["active"] else COLOURS[0] for each in effects])
    right.set_xlabel(f"{_with_unit('high level minus low level', unit)}, 95 % interval")
    figure.suptitle(f"{screening['design']['kind']}, error from {screening['error']}", fontsize=11)
    return figure


def differences(comparisons: Sequence[Mapping[str, Any]], metric: Metric) -> Figure:
    """What each change does to the reference's metric, with 95 % intervals of paired differences.

    `comparisons` are what `Comparison.to_mapping` gave, all against one reference.
    """
    from matplotlib.figure import Figure

    reference = comparisons[0]["reference"]
    rows = [
        {"name": each["arm"], "value": each["over_seeds"]["difference"]["mean"]}
        | {end: each["over_seeds"]["difference"][end] for end in ("low", "high")}
        for each in comparisons
    ]
    shown = [each["verdict"] in ("better", "worse") for each in comparisons]
    figure = Figure(figsize=(8.5, 1.6 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    _intervals(axes, rows, metric.scale, [_ACTIVE if each else COLOURS[0] for each in shown])
    against = f"test {metric.label} minus that of {plain(reference, 30)}"
    axes.set_xlabel(f"{_with_unit(against, metric.unit_of_differences)}, 95 % interval over seeds")
    label = "orange: a difference was shown (Holm, 5 %)" if any(shown) else "no difference was shown"
    axes.set_title(label, fontsize=10)
    return figure


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _curve(axes: Axes, rows: Sequence[Mapping[str, Any]], scale: int, at: int) -> None:
    qubits, style = [row["n_qubits"] for row in rows], _style(at)
    axes.plot(qubits, [scale * row["mean"] for row in rows], label=plain(rows[0]["arm"], 28), **style)
    banded = [row for row in rows if row["low"] is not None]
    if banded:
        axes.fill_between(
            [row["n_qubits"] for row in banded],
            [scale * row["low"] for row in banded],
            [scale * row["high"] for row in banded],
            color=style["color"],
            alpha=0.13,
            linewidth=0,
        )


def _level(panels: Sequence[Axes], row: Mapping[str, Any], scale: int, place: int, at: int) -> None:
    """An arm without qubits: its interval in the last panel, a line across the first where there are two."""
    style, mean = _style(at), scale * row["mean"]
    panels[-1].plot(place, mean, label=plain(row["arm"], 28), **style)
    if row["low"] is not None:
        ends = (scale * row["low"], scale * row["high"])
        panels[-1].plot((place, place), ends, color=style["color"], linewidth=2)
    if len(panels) > 1:
        panels[0].axhline(mean, color=style["color"], linestyle=style["linestyle"], linewidth=0.9)


def _style(at: int) -> dict[str, Any]:
    rounds, colour = divmod(at, len(COLOURS))
    return {
        "color": COLOURS[colour],
        "marker": _MARKERS[colour],
        "linestyle": _DASHES[rounds % len(_DASHES)],
        "markersize": 5,
    }


def _reference_line(axes: Axes, effects: Sequence[Mapping[str, Any]], standard_error: float) -> None:
    """Where effects would lie that are noise of the stated standard error."""
    end = max(each["quantile"] for each in effects)
    axes.plot(
        (0, end),
        (0, standard_error * end),
        color=_GREY,
        linestyle=":",
        label="expected of noise alone",
    )


def _label(axes: Axes, effects: Sequence[Mapping[str, Any]], scale: int) -> None:
    """Names by turns above left and below right of the points, where a rising row of them leaves room."""
    ordered = sorted(effects, key=lambda each: abs(float(each["value"])), reverse=True)
    for rank, each in enumerate(ordered):
        above = rank % 2 == 0
        axes.annotate(
            plain(each["name"], 26),
            (each["quantile"], scale * abs(each["value"])),
            (-5, 3) if above else (5, -3),
            textcoords="offset points",
            fontsize=8,
            ha="right" if above else "left",
            va="bottom" if above else "top",
        )


def _intervals(axes: Axes, rows: Sequence[Mapping[str, Any]], scale: int, colours: Sequence[str]) -> None:
    """A dot and a bar for each row, the first at the top; without an interval the dot alone."""
    for height, (row, colour) in enumerate(zip(rows, colours, strict=True)):
        if row["low"] is not None:
            axes.plot((scale * row["low"], scale * row["high"]), (height, height), color=colour, linewidth=2)
        axes.plot(scale * row["value"], height, "o", color=colour, markersize=6)
    axes.axvline(0, color=_GREY, linestyle=":")
    axes.set_yticks(range(len(rows)), [plain(str(row["name"]), _LONGEST_NAME) for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.25)
