"""The picture of a scaling study: loss against parameters, operations, tokens and seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hybridqies.figures import COLOURS, plain
from hybridqies.lm.costs import TRAINING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vPX"
Cells = Sequence[Mapping[str, Any]]


def draw_scale(result: Mapping[str, Any]) -> Figure:
    """A row of panels for each text; bars and bands are 95 % intervals over seeds, shaded laws 95 % bands."""
    from matplotlib.figure import Figure

    measured = [cell for cell in result["cells"] if cell["loss"] is not None]
    texts = list(dict.fromkeys(cell["text"] for cell in measured))
    arms = list(dict.fromkeys(cell["arm"] for cell in measured))
    figure = Figure(figsize=(15, 0.8 + 3.6 * len(texts)), layout="constrained")
    rows = figure.subplots(len(texts), 4, squeeze=False)
    for text, panels in zip(texts, rows, strict=True):
        own = [cell for cell in measured if cell["text"] == text]
        laws = {each["by"]: each["fit"] for each in result["laws"] if each["text"] == text}
        _draw_text(panels, own, laws, arms)
        panels[0].set_ylabel(f"{plain(text, 30)}\ntest loss, nats a token")
        panels[2].set_ylabel("validation loss")
    handles, labels = rows[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(arms), frameon=False)
    return figure


def _draw_text(panels: Sequence[Axes], cells: Cells, laws: Mapping[str, Any], arms: Sequence[str]) -> None:
    most = max(cell["planned_tokens"] for cell in cells)
    for at, arm in enumerate(arms):
        style = {"color": COLOURS[at % len(COLOURS)], "marker": _MARKERS[at % len(_MARKERS)]}
        own = [cell for cell in cells if cell["arm"] == arm]
        for cell_tokens in sorted({cell["planned_tokens"] for cell in own}):
            these = [cell for cell in own if cell["planned_tokens"] == cell_tokens]
            faint = {"alpha": 1.0 if cell_tokens == most else 0.45}
            label = plain(arm, 30) if cell_tokens == most else None
            _points(panels[0], these, lambda cell: cell["n_parameters"], {**style, **faint, "label": label})
            _points(panels[1], these, operations_of, style | faint)
            _points(panels[3], these, lambda cell: cell["processor_seconds"]["mean"], style | faint)
        if own:
            _curve(
                panels[2], max(own, key=lambda cell: (cell["planned_tokens"], cell["n_parameters"])), style
            )
        steps = {cell["n_tokens"] for cell in cells if cell["planned_tokens"] == most}
        _law(panels[0], laws.get("parameters"), arm, 1, style["color"])
        _law(panels[1], laws.get("operations"), arm, TRAINING * max(steps), style["color"])
    names = ("parameters", "operations of the training", "tokens (largest size of each arm)")
    for axes, name in zip(panels, (*names, "processor seconds of the training"), strict=True):
        if axes is not panels[2]:
            axes.set_xscale("log")
        axes.set_xlabel(name)
        axes.grid(alpha=0.25)
    _label_digits(panels[3])


def _label_digits(axes: Axes) -> None:
    """Labels 1, 2 and 5 of each decade: seconds span about one, and all digits of it would overlap."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def operations_of(cell: Mapping[str, Any]) -> float:
    """The operations of a training, without those of the search."""
    return float(TRAINING * cell["flops_per_token"] * cell["n_tokens"])


def _points(
    axes: Axes, cells: Cells, cost: Callable[[Mapping[str, Any]], float], style: Mapping[str, Any]
) -> None:
    ordered = sorted(cells, key=cost)
    means = [cell["loss"]["mean"] for cell in ordered]
    margins = [
        math.nan if cell["loss"]["high"] is None else cell["loss"]["high"] - cell["loss"]["mean"]
        for cell in ordered
    ]
    axes.errorbar(
        [cost(cell) for cell in ordered], means, margins, capsize=2, markersize=5, linewidth=1, **style
    )


def _curve(axes: Axes, cell: Mapping[str, Any], style: Mapping[str, Any]) -> None:
    parts = cell["curve"]
    tokens = [part["tokens"] for part in parts]
    axes.plot(tokens, [part["loss"]["mean"] for part in parts], markersize=4, linewidth=1, **style)
    if parts and parts[0]["loss"]["low"] is not None:
        low, high = ([part["loss"][end] for part in parts] for end in ("low", "high"))
        axes.fill_between(tokens, low, high, color=style["color"], alpha=0.13, linewidth=0)


def _law(axes: Axes, fit: Mapping[str, Any] | None, arm: str, scale: float, colour: str) -> None:
    """The band of a law; where tokens are a second quantity it is at the most of them."""
    own = None if fit is None else next((each for each in fit["arms"] if each["arm"] == arm), None)
    if own is not None:
        along, _, low, high = zip(*own["curve"], strict=True)
        axes.fill_between([scale * at for at in along], low, high, color=colour, alpha=0.16, linewidth=0)
