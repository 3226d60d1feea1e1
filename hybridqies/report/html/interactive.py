"""A plot as plotly.js reads it. Names and notes are data: markup in them is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from hybridqies.figures import COLOURS
from hybridqies.report.html.plots import GREY, Axis, Plot, Series, Shape, write

_SYMBOLS = ("circle", "square", "diamond", "triangle-down", "triangle-up", "cross", "x")
_DASHES = ("solid", "dash", "dot", "dashdot")
_GREY = "#718096"
_LONGEST = 34
# With more points a line goes without markers.
_MARKED = 60


def to_plotly(plot: Plot) -> dict[str, Any]:
    """Traces and layout; the page adds colours of its theme, fonts and the height of the legend."""
    traces = [trace for each in plot.series for trace in _traces(plot, each)]
    layout = {
        "xaxis": _axis(plot.x, [x for each in plot.series for x in each.x]),
        "yaxis": _axis(plot.y, [y for each in plot.series for y in each.y], upright=True),
    }
    named = plot.y.names
    return {"data": traces, "layout": layout, "height": max(300, 60 + 27 * len(named)) if named else 340}


def escape(text: str) -> str:
    """Text without markup: plotly reads some tags and entities in every text."""
    return html.escape(text, quote=False)


def _traces(plot: Plot, series: Series) -> list[dict[str, Any]]:
    colour, dash, symbol = _style(series.style)
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": escape(_short(series.name)),
        "hoverinfo": "text",
        "text": [escape(text) for text in _hover(plot, series)],
        "line": {"color": colour, "dash": dash, "width": 2},
        "marker": {"color": colour, "symbol": symbol, "size": 7},
    }
    if series.shape is Shape.LEVEL:
        low, high = _extent(plot)
        trace |= {"x": [low, high], "y": list(series.y) * 2, "text": trace["text"] * 2, "mode": "lines"}
        trace["line"] |= {"width": 1.5, "dash": "dot" if series.style == GREY else dash}
        return [trace]
    marked = len(series.x) <= _MARKED and series.style != GREY
    lines = "lines+markers" if marked else "lines"
    trace |= {"x": list(series.x), "y": list(series.y)}
    trace["mode"] = "markers" if series.shape is Shape.DOTS else lines
    if not series.low:
        return [trace]
    if series.shape is Shape.LINE:
        return [_band(series, colour), trace]
    trace["error_x" if plot.y.names else "error_y"] = _bars(plot, series, colour)
    return [trace]


def _band(series: Series, colour: str) -> dict[str, Any]:
    """The area between the ends of the intervals, as one outline."""
    points = [
        (x, low, high)
        for x, low, high in zip(series.x, series.low, series.high, strict=True)
        if low is not None and high is not None
    ]
    return {
        "type": "scatter",
        "x": [x for x, _, _ in points] + [x for x, _, _ in reversed(points)],
        "y": [high for *_, high in points] + [low for _, low, _ in reversed(points)],
        "fill": "toself",
        "fillcolor": f"{colour}22",
        "line": {"width": 0, "color": colour},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _bars(plot: Plot, series: Series, colour: str) -> dict[str, Any]:
    middle = series.x if plot.y.names else series.y
    above = [0 if high is None else high - at for at, high in zip(middle, series.high, strict=True)]
    below = [0 if low is None else at - low for at, low in zip(middle, series.low, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "color": colour,
        "thickness": 2,
        "width": 0,
    }


def _hover(plot: Plot, series: Series) -> list[str]:
    lines = []
    for at, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
        place = "" if series.shape is Shape.LEVEL else f"{plot.x.label}: {write(plot.x, x)}, "
        text = f"{series.name} – {place}{plot.y.label}: {write(plot.y, y)}"
        if plot.y.names:
            text = f"{write(plot.y, y)} – {series.name}, {plot.x.label}: {write(plot.x, x)}"
        ends = [bounds[at] if bounds else None for bounds in (series.low, series.high)]
        if None not in ends:
            text += f" ({ends[0]:.4g} to {ends[1]:.4g})"
        lines.append(text + (f", {series.notes[at]}" if series.notes else ""))
    return lines


def _axis(axis: Axis, values: Sequence[float], *, upright: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"title": {"text": escape(axis.label)}, "type": "log" if axis.log else "linear"}
    if axis.log:
        # Along less than two decades there are labels at 2 and 5 as well.
        made |= {
            "dtick": 1 if max(values, default=1) > 100 * min(values, default=1) else "D2",
            "exponentformat": "power",
        }
    if axis.names:
        names = [escape(_short(name)) for name in axis.names]
        made |= {"tickvals": list(range(len(names))), "ticktext": names}
        ends = [-0.6, len(names) - 0.4]
        made["range"] = ends[::-1] if upright else ends
        made["title"] = {"text": ""}
    if axis.whole:
        made |= {"tickformat": ",d"}
    if axis.limits is not None:
        made["range"] = list(axis.limits)
    return made


def _extent(plot: Plot) -> tuple[float, float]:
    """From where to where level lines reach: as far as the other points."""
    along = [x for each in plot.series if each.shape is not Shape.LEVEL for x in each.x] or [0.0, 1.0]
    return (min(along) - 0.5, max(along) + 0.5) if min(along) == max(along) else (min(along), max(along))


def _style(style: int) -> tuple[str, str, str]:
    if style == GREY:
        return _GREY, "dot", "circle-open"
    rounds, at = divmod(style, len(COLOURS))
    return COLOURS[at], _DASHES[rounds % len(_DASHES)], _SYMBOLS[at]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
