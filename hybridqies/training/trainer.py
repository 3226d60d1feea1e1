"""Training a head on embeddings: AdamW or the head's own solver, the best epoch chosen on validation."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from hybridqies.backends import QuantumLayer
from hybridqies.errors import InputError
from hybridqies.files import write_text
from hybridqies.options import to_mapping
from hybridqies.training.checkpoint import CHECKPOINT, Progress, load_checkpoint, save_checkpoint
from hybridqies.training.config import ClassWeights, Schedule, SelectOn, TrainingConfig
from hybridqies.training.metrics import Metrics, measure

METRICS = "metrics.jsonl"
OnEpoch = Callable[[dict[str, Any]], None]


@runtime_checkable
class Solvable(Protocol):
    """A head with a solver of its own; it has no epochs."""

    def solve(self, embeddings: Tensor, labels: Tensor, class_weights: Tensor | None, seed: int) -> None:
        """Sets the head's values from the whole training set."""


@runtime_checkable
class Adaptable(Protocol):
    """A head that fits its scaling to the training embeddings before anything else."""

    def adapt(self, embeddings: Tensor) -> None:
        """Takes what it needs from the training embeddings (B, D)."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Embeddings (B, D) and their class indices (B,)."""

    embeddings: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training gives back: which epoch was kept, every epoch's record, and the time it took."""

    best_epoch: int
    history: tuple[dict[str, Any], ...]
    seconds: float


def train(
    head: nn.Module,
    training: Labelled,
    validation: Labelled | None,
    config: TrainingConfig,
    *,
    folder: Path | None = None,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Outcome:
    """Trains `head` in place and leaves it at its best epoch on `validation` (the last one without).

    With a `folder`, `metrics.jsonl` and a checkpoint are written there after every
    epoch; with `resume` a checkpoint found there is continued, to the same
    result bit for bit. `on_epoch` is called with each epoch's record.

    Raises
    ------
    InputError: a training set without rows, a loss that stopped being finite, or `resume` without a `folder`.
    """
    if len(training.labels) == 0:
        raise InputError("training was given 0 texts", expected="at least one a class")
    if resume and folder is None:
        raise InputError(
            "resume was given without a folder", expected="the folder of the interrupted training"
        )
    weights = class_weights(training.labels, head_classes(head, training), config.class_weights)
    if isinstance(head, Solvable):
        return _solve(head, training, validation, config, weights, folder)
    return _Run(head, training, validation, config, weights, folder, on_epoch).go(resume)


def predict_probabilities(head: nn.Module, embeddings: Tensor, batch_size: int = 256) -> np.ndarray:
    """Class probabilities (B, K), computed in batches, without gradients or dropout."""
    was_training = head.training
    head.eval()
    with torch.no_grad():
        parts = [torch.softmax(head(part), dim=1) for part in embeddings.split(batch_size)]
    head.train(was_training)
    values: np.ndarray = torch.cat(parts).cpu().numpy()
    return values


def class_weights(labels: Tensor, n_classes: int, rule: ClassWeights) -> Tensor | None:
    """One weight a class, inverse to its rows with a mean of 1 over samples; None when all count alike."""
    if rule is ClassWeights.NONE:
        return None
    counts = torch.bincount(labels, minlength=n_classes).clamp(min=1)
    return (len(labels) / (n_classes * counts)).to(torch.float32)


def head_classes(head: nn.Module, training: Labelled) -> int:
    """How many classes the head tells apart."""
    declared = getattr(head, "n_classes", None)
    return int(declared) if declared is not None else int(training.labels.max()) + 1


def _solve(
    head: Any,
    training: Labelled,
    validation: Labelled | None,
    config: TrainingConfig,
    weights: Tensor | None,
    folder: Path | None,
) -> Outcome:
    start = time.perf_counter()
    head.adapt(training.embeddings)
    head.solve(training.embeddings, training.labels, weights, config.seed)
    record: dict[str, Any] = {"epoch": 1}
    for name, part in (("train", training), ("validation", validation)):
        if part is not None and len(part.labels):
            record |= evaluate(head, part).to_mapping(f"{name}_")
    record["seconds"] = time.perf_counter() - start
    if folder is not None:
        _write_history(folder, [record])
    return Outcome(1, (record,), record["seconds"])


def evaluate(head: nn.Module, part: Labelled, batch_size: int = 256) -> Metrics:
    """Metrics of the head on `part`."""
    return measure(predict_probabilities(head, part.embeddings, batch_size), part.labels.cpu().numpy())


def learning_rate_factor(config: TrainingConfig, step: int, steps_per_epoch: int) -> float:
    """What the learning rate is multiplied by at a step."""
    total, warm = config.epochs * steps_per_epoch, config.warmup * config.epochs * steps_per_epoch
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(1.0, total - warm)
    match config.schedule:
        case Schedule.CONSTANT:
            return 1.0
        case Schedule.LINEAR:
            return 1.0 - done
        case Schedule.COSINE:
            return 0.5 * (1.0 + math.cos(math.pi * done))


class _Run:
    """One training by gradients; every random draw of an epoch comes from (seed, epoch) alone."""

    def __init__(
        self,
        head: nn.Module,
        training: Labelled,
        validation: Labelled | None,
        config: TrainingConfig,
        weights: Tensor | None,
        folder: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        self.head, self.training, self.validation, self.config = head, training, validation, config
        self.folder, self.on_epoch = folder, on_epoch
        self.loss = nn.CrossEntropyLoss(weight=weights, label_smoothing=config.label_smoothing)
        self.optimiser = torch.optim.AdamW(_groups(head, config))
        self.rates = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.steps = math.ceil(len(training.labels) / config.batch_size)
        self.progress = Progress()
        self.key = _key(config, training, validation, head)

    def go(self, resume: bool) -> Outcome:
        if isinstance(self.head, Adaptable):
            self.head.adapt(self.training.embeddings)
        if resume and self.folder is not None and (self.folder / CHECKPOINT).exists():
            self.progress = load_checkpoint(self.folder / CHECKPOINT, self.head, self.optimiser, self.key)
        while self.progress.epoch < self.config.epochs and not self._stopped_early():
            self._epoch()
        self.head.load_state_dict(self.progress.best_state)
        self.head.eval()
        return Outcome(self.progress.best_epoch, tuple(self.progress.history), self.progress.seconds)

    def _epoch(self) -> None:
        start = time.perf_counter()
        progress = self.progress
        loss = self._pass_over_training()
        progress.epoch += 1
        record: dict[str, Any] = {"epoch": progress.epoch, "learning_rate": self._rate(), "train_loss": loss}
        measured = None if self.validation is None else self._measured()
        if measured is not None:
            record |= measured.to_mapping("validation_")
        score = _score(measured, self.config.select_on, progress.epoch)
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
            progress.best_state = {
                name: value.detach().clone() for name, value in self.head.state_dict().items()
            }
        progress.seconds += time.perf_counter() - start
        record["seconds"] = round(progress.seconds, 3)
        progress.history.append(record)
        self._record(record)

    def _measured(self) -> Metrics:
        assert self.validation is not None
        # No larger than a training batch: a circuit that trained must not be too large to validate.
        return evaluate(self.head, self.validation, self.config.batch_size)

    def _pass_over_training(self) -> float:
        self.head.train()
        order = np.random.default_rng([self.config.seed, self.progress.epoch]).permutation(
            len(self.training.labels)
        )
        total = 0.0
        with _seeded(self.config.seed * 1_000_003 + self.progress.epoch, self.training.embeddings.device):
            for step, rows in enumerate(torch.from_numpy(order).split(self.config.batch_size)):
                self._set_rate(self.progress.epoch * self.steps + step)
                total += self._step(rows) * len(rows)
        return total / len(order)

    def _step(self, rows: Tensor) -> float:
        self.optimiser.zero_grad()
        loss = self.loss(self.head(self.training.embeddings[rows]), self.training.labels[rows])
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(
                f"the training loss became {value} in epoch {self.progress.epoch + 1}",
                expected="a finite loss",
                todo="lower learning_rate or feature_scale",
            )
        loss.backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.head.parameters(), self.config.clip_norm)
        self.optimiser.step()
        return value

    def _set_rate(self, step: int) -> None:
        factor = learning_rate_factor(self.config, step, self.steps)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def _rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    def _stopped_early(self) -> bool:
        since = self.progress.epoch - self.progress.best_epoch
        return self.validation is not None and 0 < self.config.patience <= since

    def _record(self, record: dict[str, Any]) -> None:
        if self.folder is not None:
            # The checkpoint last: what it promises is then already on disk.
            _write_history(self.folder, self.progress.history)
            save_checkpoint(self.folder / CHECKPOINT, self.head, self.optimiser, self.progress, self.key)
        if self.on_epoch is not None:
            self.on_epoch(record)


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout draws from torch's global generators: borrowed in here, seeded, and given back as they were."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield


def _groups(head: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """The head's parameters by how they are trained: encoders, other circuits, readout, everything else."""
    rate, decay = config.learning_rate, config.weight_decay
    circuits = {id(p) for part in head.modules() if isinstance(part, QuantumLayer) for p in part.parameters()}
    encoders = circuits & _ids(head, "encoders")
    readout = _ids(head, "readout") if circuits else set()
    groups: list[dict[str, Any]] = [
        # An angle is not made simpler by making it smaller.
        {"of": encoders, "lr": config.encoder_learning_rate or rate, "weight_decay": 0.0},
        {"of": circuits - encoders, "lr": rate, "weight_decay": 0.0},
        {"of": readout, "lr": config.readout_learning_rate or rate, "weight_decay": decay},
        {"of": _ids(head) - circuits - readout, "lr": rate, "weight_decay": decay},
    ]
    for group in groups:
        members = group.pop("of")
        group["params"] = [parameter for parameter in head.parameters() if id(parameter) in members]
    return [group for group in groups if group["params"]]


def _ids(head: nn.Module, part: str | None = None) -> set[int]:
    """The identities of the parameters of the head, or of a part that it may have."""
    module = head if part is None else getattr(head, part, None)
    return {id(parameter) for parameter in module.parameters()} if isinstance(module, nn.Module) else set()


def _score(measured: Metrics | None, rule: SelectOn, epoch: int) -> tuple[float, float]:
    """What the kept epoch has the most of; later epochs win where nothing is measured."""
    if measured is None or rule is SelectOn.LAST:
        return float(epoch), 0.0
    return (measured.accuracy if rule is SelectOn.ACCURACY else -measured.log_loss, -measured.log_loss)


def _write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    write_text(folder / METRICS, "".join(json.dumps(record) + "\n" for record in history))


def _key(config: TrainingConfig, training: Labelled, validation: Labelled | None, head: nn.Module) -> str:
    """A digest of everything that decides a training: settings, data, the head's options and its start."""
    described = {
        "training": to_mapping(config),
        "options": to_mapping(head.config)
        if dataclasses.is_dataclass(getattr(head, "config", None))
        else None,
        "circuits": {
            role: circuit.to_mapping() for role, circuit in getattr(head, "circuits", dict)().items()
        },
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for part in (training, validation):
        if part is not None:
            digest.update(part.embeddings.detach().cpu().numpy().tobytes())
            digest.update(part.labels.cpu().numpy().tobytes())
    for name, value in head.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
