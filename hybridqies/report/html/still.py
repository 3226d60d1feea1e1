"""A plot as a picture: what is printed, what is seen without scripts, and the files for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridqies.figures import COLOURS, plain
from hybridqies.report.html.plots import GREY, Axis, Plot, Series, Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS, _DASHES = "osDv^PX", ("-", "--", ":", "-.")
_GREY = "#718096"
_LONGEST, _MARKED = 34, 60


def draw(plot: Plot) -> Figure:
    """The plot with its legend beside it."""
    from matplotlib.figure import Figure

    named = len(plot.y.names)
    figure = Figure(figsize=(8.6, max(3.0, 1.1 + 0.27 * named) if named else 3.9), layout="constrained")
    axes = figure.subplots()
    for each in plot.series:
        _draw_series(axes, plot, each)
    _set_axis(axes, plot.x, "x")
    _set_axis(axes, plot.y, "y")
    axes.grid(axis="x" if named else "both", alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(plot.series) > 1:
        figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def _draw_series(axes: Axes, plot: Plot, series: Series) -> None:
    style = _style(series)
    if series.shape is Shape.LEVEL:
        axes.axhline(series.y[0], label=plain(series.name, _LONGEST), **style)
        return
    label = plain(series.name, _LONGEST)
    if series.low and series.shape is Shape.LINE:
        kept = [at for at, low in enumerate(series.low) if low is not None]
        x, low, high = ([side[at] for at in kept] for side in (series.x, series.low, series.high))
        axes.fill_between(x, low, high, color=style["color"], alpha=0.13, linewidth=0)  # type: ignore[arg-type]
    elif series.low:
        _draw_intervals(axes, plot, series, style["color"])
    axes.plot(series.x, series.y, label=label, **style)


def _draw_intervals(axes: Axes, plot: Plot, series: Series, colour: str) -> None:
    for x, y, low, high in zip(series.x, series.y, series.low, series.high, strict=True):
        if low is not None and high is not None:
            ends = ((low, high), (y, y)) if plot.y.names else ((x, x), (low, high))
            axes.plot(*ends, color=colour, linewidth=2)


def _style(series: Series) -> dict[str, Any]:
    rounds, at = divmod(max(0, series.style), len(COLOURS))
    grey = series.style == GREY
    style: dict[str, Any] = {"color": _GREY if grey else COLOURS[at], "markersize": 5}
    if series.shape is Shape.DOTS:
        return style | {"marker": "o" if grey else _MARKERS[at], "linestyle": ""}
    style["linestyle"] = ":" if grey else _DASHES[rounds % len(_DASHES)]
    marked = series.shape is Shape.LINE and len(series.x) <= _MARKED
    return style | {"marker": _MARKERS[at] if marked and not grey else "", "linewidth": 1.4}


def _set_axis(axes: Axes, axis: Axis, side: str) -> None:
    if axis.log:
        getattr(axes, f"set_{side}scale")("log")
    if axis.names:
        names = [plain(name, _LONGEST) for name in axis.names]
        getattr(axes, f"set_{side}ticks")(range(len(names)), names, fontsize=8)
        ends = (-0.6, len(names) - 0.4)
        getattr(axes, f"set_{side}lim")(ends[::-1] if side == "y" else ends)
    else:
        getattr(axes, f"set_{side}label")(plain(axis.label, 80))
    if axis.whole:
        getattr(axes, f"{side}axis").get_major_locator().set_params(integer=True)
    if axis.limits is not None:
        getattr(axes, f"set_{side}lim")(axis.limits)
