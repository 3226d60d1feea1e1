"""The model folder of a task that makes its data: the weights, and what they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridqies.options import to_mapping
from hybridqies.saved_model.files import TASK, write_config
from hybridqies.saved_model.trained_head import save_weights
from hybridqies.tasks.base import TrainedModel
from hybridqies.tasks.made import MadeData
from hybridqies.tuning.text_model import head_of


def save_made(data: MadeData, trained: TrainedModel, folder: Path, run: Mapping[str, Any]) -> None:
    """Saves the head, and the encoder that was trained with it, with the configuration of the run."""
    spec, model = trained.spec, trained.model
    entries = save_weights(
        folder,
        model.state_dict(),
        spec.head,
        head_of(model),
        data.classes,
        trained.backend,
        trained.training,
    )
    described = {TASK: run["task"], "problem": to_mapping(data.problem), **entries}
    write_config(folder, described, run, data.fingerprints)
