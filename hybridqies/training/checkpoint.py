"""The state of a training after an epoch, in one file, from which a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.backends import QuantumLayer
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.options import to_mapping
from hybridqies.tensors import check_finite, load_tensors, save_tensors
from hybridqies.training.config import TrainingConfig
from hybridqies.training.progress import Progress
from hybridqies.training.rows import Rows, digest_tensor

CHECKPOINT = "checkpoint.safetensors"


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of everything that training can change: parameters that are not frozen, and buffers."""
    frozen = _frozen(model)
    state = model.state_dict()
    return {name: value.detach().clone() for name, value in state.items() if name not in frozen}


def restore(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts a snapshot back.

    Raises
    ------
    ModelFolderError: it is of another model.
    """
    try:
        missing, unexpected = model.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise ModelFolderError(
            f"a checkpoint doesn't fit the model: {str(error).splitlines()[-1].strip()}"
        ) from None
    odd = [*unexpected, *(name for name in missing if name not in _frozen(model))]
    if odd:
        raise ModelFolderError(f"a checkpoint doesn't fit the model: {odd[0]!r} is in one of them only")


def save_checkpoint(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress, key: str
) -> None:
    """Writes weights, best weights, optimiser and progress; `key` says which training this is."""
    tensors = {f"model.{name}": value for name, value in snapshot(model).items()}
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
    check_finite(tensors, path)
    save_tensors(path, tensors, record)


def load_checkpoint(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, key: str) -> Progress:
    """Puts weights and optimiser back and returns the progress.

    Raises
    ------
    ModelFolderError: the file is damaged or belongs to a training with other settings or data.
    """
    tensors, record = load_tensors(path)
    if record.get("key") != key:
        raise ModelFolderError(
            f"checkpoint {str(path)!r} belongs to a training with other settings or data",
            todo="resume with the flags and data of the first start, or start again with --overwrite",
        )
    restore(model, _under("model.", tensors))
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


def check_epochs(progress: Progress, config: TrainingConfig) -> None:
    """Refuses a checkpoint that has gone further than it should go on to.

    Raises
    ------
    InputError: more epochs are trained than `config` asks for.
    """
    assert config.epochs is not None
    if progress.epoch > config.epochs:
        raise InputError(
            f"epochs={config.epochs} was given to go on from a checkpoint of {progress.epoch} epochs",
            expected=f"at least {progress.epoch}",
        )


def key_of(
    config: TrainingConfig,
    objective: Mapping[str, Any],
    training: Rows,
    validation: Rows | None,
    model: nn.Module,
    n_processes: int = 1,
) -> str:
    """A digest of everything that decides a training but the number of its epochs: more may follow."""
    described = {
        "training": {name: value for name, value in to_mapping(config).items() if name != "epochs"},
        "objective": dict(objective),
        "rows": [training.fingerprint, None if validation is None else validation.fingerprint],
        "processes": n_processes,
        "model": [[name, *_describe(part)] for name, part in model.named_modules()],
        "start": {name: digest_tensor(value) for name, value in model.state_dict().items()},
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _describe(part: nn.Module) -> list[Any]:
    """What decides a module's values beside its tensors, as far as its attributes tell."""
    options: Any = getattr(part, "config", None)
    # Ours are frozen dataclasses; those of transformers hold paths and objects.
    is_ours = getattr(getattr(options, "__dataclass_params__", None), "frozen", False)
    circuit = part.circuit.to_mapping() if isinstance(part, QuantumLayer) else None
    return [type(part).__name__, part.extra_repr(), to_mapping(options) if is_ours else None, circuit]


def _frozen(model: nn.Module) -> set[str]:
    return {name for name, value in model.named_parameters() if not value.requires_grad}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
