"""Models with a solver of their own: one epoch, no gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from hybridqies.errors import InputError
from hybridqies.training.compilation import stopwatch
from hybridqies.training.config import TrainingConfig
from hybridqies.training.history import write_history
from hybridqies.training.objectives import CrossEntropy, Objective
from hybridqies.training.prediction import prediction_batch
from hybridqies.training.progress import Outcome


def solve(
    model: nn.Module,
    training: Any,
    validation: Any,
    objective: Objective[Any],
    config: TrainingConfig,
    folder: Path | None,
) -> Outcome:
    """Has the model solve for its values, and measures it on training and validation rows.

    Raises
    ------
    InputError: an objective other than cross-entropy.
    """
    if not isinstance(objective, CrossEntropy):
        raise InputError(
            f"{type(model).__name__} was given the objective {type(objective).__name__}",
            expected="cross-entropy: it solves for classes",
        )
    record: dict[str, Any] = {"epoch": 1}
    with stopwatch(model) as seconds:
        objective.solve(model, training, config.seed)
        for name, part in (("train", training), ("validation", validation)):
            if part is not None and len(part):
                measured = objective.measure(model, part, prediction_batch(model, len(part)))
                record |= measured.to_mapping(f"{name}_")
        record["seconds"] = seconds()
    if folder is not None:
        write_history(folder, [record])
    return Outcome(1, (record,), record["seconds"])
