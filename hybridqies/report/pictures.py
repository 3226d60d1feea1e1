"""Pictures of a run, drawn from its folder alone: training curve, confusion matrix, circuits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.circuit import Circuit, draw_picture, draw_text
from hybridqies.classifier import read_config
from hybridqies.errors import ModelFolderError
from hybridqies.files import replacing, write_text
from hybridqies.report.tables import head_label, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY = "#2b6cb0", "#c05621", "#718096"


def write_pictures(folder: Path) -> list[Path]:
    """Draws everything that a finished run recorded; returns the files written.

    Raises
    ------
    ModelFolderError: the folder holds no finished run.
    """
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        history = [
            json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        ]
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{str(folder)!r} holds no finished run ({error})") from None
    written = []
    if len(history) > 1:
        written.append(_save(training_curve(history, result), folder / "training_curve.png"))
    written.append(_save(confusion_matrix(result), folder / "confusion_matrix.png"))
    for role, stored in read_config(folder)["model"]["circuits"].items():
        circuit = Circuit.from_mapping(stored)
        name = "circuit" if role == "circuit" else f"{role}_circuit"
        write_text(folder / f"{name}.txt", draw_text(circuit) + "\n")
        draw_picture(circuit, folder / f"{name}.png")
        written += [folder / f"{name}.txt", folder / f"{name}.png"]
    return written


def training_curve(history: list[dict[str, Any]], result: dict[str, Any]) -> Figure:
    """Loss and validation accuracy over the epochs, the chosen epoch marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    epochs = [record["epoch"] for record in history]
    losses.plot(epochs, [record["train_loss"] for record in history], color=_BLUE, label="training")
    if "validation_log_loss" in history[0]:
        losses.plot(epochs, [r["validation_log_loss"] for r in history], color=_ORANGE, label="validation")
        accuracies.plot(epochs, [100 * r["validation_accuracy"] for r in history], color=_ORANGE)
    for axes, title in ((losses, "cross-entropy"), (accuracies, "validation accuracy (%)")):
        axes.axvline(result["best_epoch"], color=_GREY, linestyle=":", label="chosen epoch")
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=11)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    losses.legend(frameon=False)
    figure.suptitle(head_label(result), fontsize=11)
    return figure


def confusion_matrix(result: dict[str, Any]) -> Figure:
    """Counts of true against predicted classes on the test set, shaded by the share of the true class."""
    import numpy as np
    from matplotlib.figure import Figure

    counts = np.array(result["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(3.6, 0.55 * len(counts) + 2.0)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [str(label) for label in result["classes"]]
    axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 4 else 0, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(names) <= 20:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_title(f"test accuracy {percent(result['accuracy'])} of {result['n_test']:,}", fontsize=11)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path
