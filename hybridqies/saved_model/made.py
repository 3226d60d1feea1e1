"""The model folder of a task that makes its data: the weights, and what they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridqies.files import sha256_of
from hybridqies.options import to_mapping
from hybridqies.saved_model.files import TASK, WEIGHTS, write_config
from hybridqies.tasks.base import TrainedModel
from hybridqies.tasks.made import MadeData
from hybridqies.tensors import check_finite, save_tensors
from hybridqies.tuning.text_model import head_of


def save_made(data: MadeData, trained: TrainedModel, folder: Path, run: Mapping[str, Any]) -> None:
    """Saves the head, and the encoder that was trained with it, with the configuration of the run."""
    head, weights = head_of(trained.model), trained.model.state_dict()
    check_finite(weights, folder / WEIGHTS)
    save_tensors(folder / WEIGHTS, weights, {"head": trained.spec.head})
    model = {
        TASK: run["task"],
        "problem": to_mapping(data.problem),
        "head": trained.spec.head,
        "options": to_mapping(head.config),
        "circuits": {role: circuit.to_mapping() for role, circuit in head.circuits().items()},
        "classes": list(data.classes),
        "n_inputs": head.n_inputs,
        "backend": trained.backend.spec,
        "training": to_mapping(trained.training),
        "weights_sha256": sha256_of(folder / WEIGHTS),
    }
    write_config(folder, model, run, data.fingerprints)
