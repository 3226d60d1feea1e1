"""A task without classes: rows of numbers to one number, measured by its error."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.backends import Backend
from hybridqies.files import sha256_of
from hybridqies.saved_model import WEIGHTS, write_config
from hybridqies.tasks import DataOptions, Metric, ModelSpec, Splits, Task, TaskData, build_head_of
from hybridqies.tasks.base import OnProgress, TrainedModel
from hybridqies.tensors import save_tensors
from hybridqies.training import Batch, Labelled, Rows, SelectOn, TrainingConfig
from hybridqies.training.prediction import evaluating
from hybridqies.tuning.text_model import head_of

COLUMNS = 4


@dataclass(frozen=True)
class Error:
    """What a model of numbers is measured by."""

    rmse: float
    worst: float

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        return {f"{prefix}rmse": self.rmse, f"{prefix}worst": self.worst}

    def score(self, rule: SelectOn) -> tuple[float, float]:
        return -self.rmse, 0.0


class SquaredError:
    """The mean squared error of outputs (B, 1)."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return nn.functional.mse_loss(model(batch.inputs)[:, 0], batch.labels)

    def weight(self, batch: Batch) -> float:
        return float(len(batch))

    def measure(self, model: nn.Module, rows: Rows, batch_size: int) -> Error:
        whole = rows[slice(None)]
        with evaluating(model):
            errors = (model(whole.inputs)[:, 0] - whole.labels).abs()
        return Error(float(errors.square().mean().sqrt()), float(errors.max()))

    def describe(self) -> Mapping[str, Any]:
        return {"what": "squared error"}


class Numbers(TaskData):
    """Rows (N, 4) and a number for each, which the first two columns give but for some noise."""

    def __init__(self, count: int = 120) -> None:
        draw = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(count, COLUMNS, generator=draw)
        noise = 0.05 * torch.randn(count, generator=draw)
        self.targets = 10 * (self.inputs[:, 0] - 0.5 * self.inputs[:, 1]) + noise

    @property
    def name(self) -> str:
        return "numbers"

    @property
    def classes(self) -> tuple[Any, ...]:
        return ()

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"data": hashlib.sha256(self.targets.numpy().tobytes()).hexdigest()}

    def draw(self, seed: int) -> Splits[list[int]]:
        order = torch.randperm(len(self.targets), generator=torch.Generator().manual_seed(seed)).tolist()
        return Splits(order[:80], order[80:100], order[100:])

    def describe(self, drawn: Splits[Any]) -> dict[str, Any]:
        return {"name": self.name, "rows": {name: len(part) for name, part in drawn.named().items()}}

    def places(self, part: list[int]) -> list[int]:
        return part

    def rows(self, part: list[int], spec: ModelSpec, on_progress: OnProgress | None = None) -> Labelled:
        return Labelled(self.inputs[part], self.targets[part])

    def build(self, spec: ModelSpec, backend: Backend, seed: int) -> nn.Module:
        return build_head_of(spec, COLUMNS, 1, backend, seed)

    def objective(self, config: TrainingConfig, training: Rows) -> SquaredError:
        return SquaredError()


def save(data: Numbers, trained: TrainedModel, folder: Path, run: Mapping[str, Any]) -> None:
    """The weights of the head, and what they belong to."""
    head = head_of(trained.model)
    save_tensors(folder / WEIGHTS, head.state_dict(), {"head": trained.spec.head})
    model = {
        "head": trained.spec.head,
        "circuits": {role: circuit.to_mapping() for role, circuit in head.circuits().items()},
        "weights_sha256": sha256_of(folder / WEIGHTS),
    }
    write_config(folder, model, run, data.fingerprints)


class Regression(Task):
    """Rows of numbers to one number."""

    name: ClassVar[str] = "regression"
    saver: ClassVar[str] = "study.regression:save"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("rmse", "rmses", higher_is_better=False),
        Metric("worst", "worsts", higher_is_better=False),
    )

    def load(self, options: DataOptions, encoder: str, device: str, *, cached: bool = True) -> Numbers:
        return Numbers()
