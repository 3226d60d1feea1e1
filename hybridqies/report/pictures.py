"""Pictures of a run, drawn from its folder alone: training curve, confusion matrix, circuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.circuit import Circuit, draw_picture, draw_text
from hybridqies.errors import ModelFolderError
from hybridqies.figures import plain, save
from hybridqies.files import write_text
from hybridqies.report.confusion import draw_confusion
from hybridqies.report.words import head_label
from hybridqies.runs.folder import check_files, read_result, recorded_config
from hybridqies.saved_model import read_config
from hybridqies.tasks import Metric, load_task
from hybridqies.training.history import read_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY = "#2b6cb0", "#c05621", "#718096"


def write_pictures(folder: Path) -> list[Path]:
    """Draws everything that a finished run recorded; returns the files written.

    Raises
    ------
    ModelFolderError: the folder holds no finished run.
    """
    result, history = read_result(folder), read_history(folder)
    check_files(folder, result)
    metric = load_task(recorded_config(folder).task).metrics[0]
    written = []
    if len(history) > 1:
        written.append(save(training_curve(history, result, metric), folder / "training_curve.png"))
    if result["classes"]:
        written.append(save(draw_confusion(result), folder / "confusion_matrix.png"))
    for role, stored in read_config(folder)["model"]["circuits"].items():
        circuit = Circuit.from_mapping(stored)
        name = "circuit" if role == "circuit" else f"{role}_circuit"
        write_text(folder / f"{name}.txt", draw_text(circuit) + "\n")
        draw_picture(circuit, folder / f"{name}.png")
        written += [folder / f"{name}.txt", folder / f"{name}.png"]
    return written


def training_curve(history: Sequence[dict[str, Any]], result: Mapping[str, Any], metric: Metric) -> Figure:
    """Loss, and where there was validation its metric, over the epochs; the kept epoch is marked.

    Raises
    ------
    ModelFolderError: the epochs have no loss, or validation is half recorded.
    """
    from matplotlib.figure import Figure

    measured = f"validation_{metric.name}"
    validated = any(name.startswith("validation_") for name in history[0])
    for name in ("train_loss", *([measured] if validated else [])):
        if name not in history[0]:
            raise ModelFolderError(f"the training record has no {name!r}", todo="restore it or train again")
    figure = Figure(figsize=(9 if validated else 5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2 if validated else 1, squeeze=False)[0]
    epochs = [record["epoch"] for record in history]
    panels[0].plot(epochs, [record["train_loss"] for record in history], color=_BLUE, label="training")
    if "validation_log_loss" in history[0]:
        losses = [record["validation_log_loss"] for record in history]
        panels[0].plot(epochs, losses, color=_ORANGE, label="validation")
    if validated:
        panels[1].plot(epochs, [metric.scale * record[measured] for record in history], color=_ORANGE)
    loss = "cross-entropy" if result["classes"] else "loss"
    for axes, title in zip(panels, (loss, metric.name_with_unit("validation")), strict=False):
        axes.axvline(result["best_epoch"], color=_GREY, linestyle=":", label="kept epoch")
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=11)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    panels[0].legend(frameon=False)
    figure.suptitle(plain(head_label(result), 90 if validated else 50), fontsize=11)
    return figure
