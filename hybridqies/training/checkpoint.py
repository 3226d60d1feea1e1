"""The state of a training after an epoch, in one file, so that a killed run goes on as if it had not been."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.errors import ModelFolderError
from hybridqies.tensors import load_tensors, save_tensors

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Progress:
    """Everything that training carries from epoch to epoch, besides weights and optimiser."""

    epoch: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_score: tuple[float, float] = (float("-inf"), float("-inf"))
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    path: Path, head: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress, key: str
) -> None:
    """Writes weights, best weights, optimiser and progress; `key` says which training this is."""
    tensors = {f"head.{name}": value for name, value in head.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best_state.items()}
    for index, entries in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in entries.items()}
    record = {
        "key": key,
        "epoch": progress.epoch,
        "seconds": progress.seconds,
        "best_epoch": progress.best_epoch,
        "best_score": list(progress.best_score),
        "history": progress.history,
    }
    save_tensors(path, tensors, record)


def load_checkpoint(path: Path, head: nn.Module, optimiser: torch.optim.Optimizer, key: str) -> Progress:
    """Puts weights and optimiser back and returns the progress.

    Raises
    ------
    ModelFolderError: the file is damaged or belongs to a training with other settings or data.
    """
    tensors, record = load_tensors(path)
    if record.get("key") != key:
        raise ModelFolderError(
            f"checkpoint {str(path)!r} belongs to a training with other settings or data",
            todo="resume with the flags and data of the first start, or begin anew with --overwrite",
        )
    head.load_state_dict(_under("head.", tensors))
    saved = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser.", tensors).items():
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = value
    optimiser.load_state_dict({"state": state, "param_groups": saved["param_groups"]})
    return Progress(
        epoch=record["epoch"],
        seconds=record["seconds"],
        best_epoch=record["best_epoch"],
        best_score=(record["best_score"][0], record["best_score"][1]),
        best_state=_under("best.", tensors),
        history=record["history"],
    )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
