"""Pictures of the analysis of a language model: levels, sentences, correlations and ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridqies.figures import COLOURS, plain, save
from hybridqies.report.language_analysis import name_place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = "#718096"
_LEVELS = "RdBu_r"


def write_analysis_pictures(record: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draws everything that was analysed; returns the files written."""
    figures = {"ablation": draw_ablation(record)}
    if "trained" in record:
        figures["entanglement"] = draw_levels(record)
        figures["correlation"] = draw_correlations(record)
    for at, sentence in enumerate(record["sentences"], start=1):
        figures[f"sentence_{at}"] = draw_sentence(sentence, record)
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def draw_levels(record: Mapping[str, Any]) -> Figure:
    """S₂ by stride and by position, operator entanglement and Schmidt weights, before and after training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    by_stride, by_position, operators, spectra = figure.subplots(2, 2).flat
    _draw_by_stride(by_stride, record, "renyi2")
    by_stride.set_title("S₂ / log r by stride", fontsize=10)
    _draw_by_stride(operators, record, "operator")
    operators.set_title("operator entanglement of the gate", fontsize=10)
    _draw_positions(by_position, record)
    _draw_spectra(spectra, record)
    by_stride.legend(frameon=False, fontsize=8)
    figure.suptitle(f"{plain(record['arm'], 40)}: dashed before training, dotted Haar-random", fontsize=11)
    return figure


def _draw_by_stride(axes: Axes, record: Mapping[str, Any], key: str) -> None:
    for name, style in (("untrained", "--"), ("trained", "-")):
        rows = record[name]["entanglement"]
        for block in sorted({row["block"] for row in rows}):
            own = [row for row in rows if row["block"] == block]
            axes.plot(
                [row["stride"] for row in own],
                [row[key] for row in own],
                color=COLOURS[block % len(COLOURS)],
                linestyle=style,
                marker="o" if name == "trained" else None,
                markersize=4,
                label=f"block {block + 1}" if name == "trained" else None,
            )
    axes.axhline(record["haar"][key], color=_GREY, linestyle=":")
    _scale_strides(axes, sorted({row["stride"] for row in record["trained"]["entanglement"]}))
    axes.grid(alpha=0.25)


def _draw_positions(axes: Axes, record: Mapping[str, Any]) -> None:
    strides = list(dict.fromkeys(row["stride"] for row in record["trained"]["entanglement"]))
    for at, (stride, levels) in enumerate(zip(strides, record["trained"]["by_position"], strict=True)):
        values = [np.nan if level is None else level for level in levels]
        axes.plot(values, color=COLOURS[at % len(COLOURS)], linewidth=1, label=f"t − {stride}")
    axes.axhline(record["haar"]["renyi2"], color=_GREY, linestyle=":")
    axes.set_xlabel("position")
    axes.set_title("S₂ / log r by position, mean of blocks", fontsize=10)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    axes.grid(alpha=0.25)


def _draw_spectra(axes: Axes, record: Mapping[str, Any]) -> None:
    levels = np.arange(1, record["rank"] + 1)
    for offset, name in ((-0.2, "untrained"), (0.2, "trained")):
        weights = np.array([row["spectrum"] for row in record[name]["entanglement"]])
        axes.bar(
            levels + offset,
            weights.mean(0),
            0.36,
            yerr=weights.std(0),
            color=_GREY if name == "untrained" else COLOURS[0],
            label=name,
        )
    axes.set_xticks(levels)
    axes.set_xlabel("Schmidt weight")
    axes.set_title("mean Schmidt weights; bars: spread over gates", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def draw_sentence(sentence: Mapping[str, Any], record: Mapping[str, Any]) -> Figure:
    """The loss of each token above S₂ of each gate that reads it; white is the Haar-random level."""
    from matplotlib.figure import Figure

    blocks, tokens = sentence["levels"], sentence["tokens"]
    values = np.array(blocks, dtype=np.float64).reshape(-1, len(tokens))
    shown = ~np.isnan(values).all(axis=1)
    n_rows = int(shown.sum())
    width = min(24.0, max(6.0, 2.5 + 0.17 * len(tokens)))
    figure = Figure(figsize=(width, 2.2 + 0.18 * n_rows), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, max(1.0, 0.14 * n_rows)])
    losses = [np.nan if loss is None else loss for loss in sentence["losses"]]
    above.bar(range(len(tokens)), losses, color=COLOURS[0], width=0.8)
    above.set_ylabel("loss")
    haar = record["haar"]["renyi2"]
    reach = max(float(np.nanmax(np.abs(values[shown] - haar))), 1e-3) if n_rows else 1.0
    image = below.imshow(
        values[shown],
        aspect="auto",
        cmap=_LEVELS,
        vmin=haar - reach,
        vmax=haar + reach,
        interpolation="nearest",
    )
    n_strides = len(blocks[0])
    labels = [f"{row // n_strides + 1} · {2 ** (row % n_strides)}" for row in np.flatnonzero(shown)]
    below.set_yticks(range(n_rows), labels, fontsize=7)
    below.set_ylabel("block · stride")
    below.set_xticks(range(len(tokens)), [_letter(token) for token in tokens], fontsize=7)
    figure.colorbar(image, ax=below, label=f"S₂ / log r (white: {haar:.3f})", pad=0.01)
    return figure


def _letter(token: str) -> str:
    """A token as an axis shows it."""
    return plain(token.replace(" ", "␣").replace("\n", "⏎"), 8)


def draw_correlations(record: Mapping[str, Any]) -> Figure:
    """Correlations of S₂ with the loss of the next token, 95 % intervals, covariates held fixed or not."""
    from matplotlib.figure import Figure

    rows = record["trained"]["correlation"]
    figure = Figure(figsize=(9.5, 1.6 + 0.24 * len(rows)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, key, title in zip(
        panels, ("r", "partial"), ("correlation", "frequency and position held fixed"), strict=True
    ):
        for offset, name in ((0.15, "untrained"), (-0.15, "trained")):
            _draw_points(axes, record[name]["correlation"], key, offset, name)
        axes.axvline(0, color=_GREY, linewidth=0.8)
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.25)
    panels[0].set_yticks(range(len(rows)), [name_place(row) for row in rows], fontsize=8)
    panels[0].invert_yaxis()
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle("S₂ of a gate and the loss of the next token", fontsize=11)
    return figure


def _draw_points(axes: Axes, rows: Sequence[Mapping[str, Any]], key: str, offset: float, name: str) -> None:
    low, high = ("low", "high") if key == "r" else ("partial_low", "partial_high")
    known = [(at, row) for at, row in enumerate(rows) if row[key] is not None]
    axes.errorbar(
        [row[key] for _, row in known],
        [at + offset for at, _ in known],
        xerr=np.clip(
            [[row[key] - row[low] for _, row in known], [row[high] - row[key] for _, row in known]], 0, None
        ),
        fmt="o",
        markersize=4,
        color=_GREY if name == "untrained" else COLOURS[0],
        label=name,
    )


def draw_ablation(record: Mapping[str, Any]) -> Figure:
    """The change of loss without each stride of each block; numbers in nats × 1000, * off zero at 95 %."""
    from matplotlib.figure import Figure

    rows = {(row["block"], row["stride"]): row for row in record["ablation"]}
    blocks, strides = ([*dict.fromkeys(key[at] for key in rows)] for at in (0, 1))
    values = np.array([[1000 * rows[block, stride]["change"] for stride in strides] for block in blocks])
    figure = Figure(figsize=(2.5 + 0.75 * len(strides), 1.8 + 0.5 * len(blocks)), layout="constrained")
    axes = figure.subplots()
    reach = max(float(np.abs(values[1:, 1:]).max()), 1e-9)
    axes.imshow(values, aspect="auto", cmap=_LEVELS, vmin=-reach, vmax=reach)
    for at, block in enumerate(blocks):
        for along, stride in enumerate(strides):
            row = rows[block, stride]
            mark = "*" if row["low"] > 0 or row["high"] < 0 else ""
            dark = abs(values[at, along]) > 0.6 * reach
            axes.text(
                along,
                at,
                f"{values[at, along]:+.1f}{mark}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    axes.set_xticks(range(len(strides)), ["all" if each is None else f"t − {each}" for each in strides])
    axes.set_yticks(range(len(blocks)), ["all" if each is None else f"block {each + 1}" for each in blocks])
    axes.set_title(f"{plain(record['arm'], 40)}: loss without a stride, nats × 1000", fontsize=10)
    return figure


def _scale_strides(axes: Axes, strides: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(strides, [str(stride) for stride in strides])
    axes.set_xlabel("stride")
