"""Pictures of a run, drawn from its folder alone: training curve, confusion matrix, circuits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.circuit import Circuit, draw_picture, draw_text
from hybridqies.classifier import read_config
from hybridqies.errors import ModelFolderError
from hybridqies.files import write_text
from hybridqies.report.figures import plain, save
from hybridqies.report.tables import head_label, percent
from hybridqies.training.history import read_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY = "#2b6cb0", "#c05621", "#718096"
_LONGEST_NAME, _MANY_CLASSES = 28, 20


def write_pictures(folder: Path) -> list[Path]:
    """Draws everything that a finished run recorded; returns the files written.

    Raises
    ------
    ModelFolderError: the folder holds no finished run.
    """
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        history = read_history(folder)
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{str(folder)!r} holds no finished run ({error})") from None
    written = []
    if len(history) > 1:
        written.append(save(training_curve(history, result), folder / "training_curve.png"))
    written.append(save(confusion_matrix(result), folder / "confusion_matrix.png"))
    for role, stored in read_config(folder)["model"]["circuits"].items():
        circuit = Circuit.from_mapping(stored)
        name = "circuit" if role == "circuit" else f"{role}_circuit"
        write_text(folder / f"{name}.txt", draw_text(circuit) + "\n")
        draw_picture(circuit, folder / f"{name}.png")
        written += [folder / f"{name}.txt", folder / f"{name}.png"]
    return written


def training_curve(history: Sequence[dict[str, Any]], result: dict[str, Any]) -> Figure:
    """Loss, and where there was validation its accuracy, over the epochs; the kept epoch is marked."""
    from matplotlib.figure import Figure

    validated = "validation_log_loss" in history[0]
    figure = Figure(figsize=(9 if validated else 5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2 if validated else 1, squeeze=False)[0]
    epochs = [record["epoch"] for record in history]
    panels[0].plot(epochs, [record["train_loss"] for record in history], color=_BLUE, label="training")
    if validated:
        losses = [record["validation_log_loss"] for record in history]
        panels[0].plot(epochs, losses, color=_ORANGE, label="validation")
        panels[1].plot(epochs, [100 * record["validation_accuracy"] for record in history], color=_ORANGE)
    for axes, title in zip(panels, ("cross-entropy", "validation accuracy (%)"), strict=False):
        axes.axvline(result["best_epoch"], color=_GREY, linestyle=":", label="kept epoch")
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=11)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    panels[0].legend(frameon=False)
    figure.suptitle(plain(head_label(result), 90 if validated else 50), fontsize=11)
    return figure


def confusion_matrix(result: dict[str, Any]) -> Figure:
    """Counts of true against predicted classes on the test set, shaded by the share of the true class."""
    import numpy as np
    from matplotlib.figure import Figure

    counts = np.array(result["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [plain(str(label), _LONGEST_NAME) for label in result["classes"]]
    many, longest = len(names) > _MANY_CLASSES, max(map(len, names))
    cells = max(2.2, (0.2 if many else 0.55) * len(names))
    figure = Figure(
        figsize=(cells + 2.4 + 0.08 * longest, cells + 1.0 + 0.06 * longest), layout="constrained"
    )
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 7 if many else 9
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xticks(range(len(names)), names, fontsize=size)
    if longest > 5 or many:
        upright = {"rotation": 90, "va": "center"} if many else {"rotation": 45, "va": "top"}
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor", **upright)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if not many:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.05, aspect=30)
    axes.set_title(f"test accuracy {percent(result['accuracy'])} of {result['n_test']:,} texts", fontsize=11)
    return figure
