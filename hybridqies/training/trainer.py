"""Training a head on embeddings: AdamW or the head's own solver, the best epoch chosen on validation."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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


def set_rates(optimiser: torch.optim.Optimizer, rates: Sequence[float], factor: float) -> None:
    """Gives every group its own rate, times `factor`."""
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate * factor


def batches(config: TrainingConfig, epoch: int, n_rows: int) -> tuple[Tensor, ...]:
    """The rows of each step of an epoch (counted from 0), in an order that (seed, epoch) alone decide."""
    order = np.random.default_rng([config.seed, epoch]).permutation(n_rows)
    rows: tuple[Tensor, ...] = torch.from_numpy(order).split(config.batch_size)
    return rows


def check_finite(loss: float, epoch: int) -> None:
    """Refuses a loss that stopped being finite in an epoch (counted from 1).

    Raises
    ------
    InputError: it did.
    """
    if not math.isfinite(loss):
        raise InputError(
            f"the training loss became {loss} in epoch {epoch}",
            expected="a finite loss",
            todo="lower learning_rate or feature_scale",
        )


def close_epoch(
    progress: Progress,
    config: TrainingConfig,
    about: Mapping[str, float],
    measured: Metrics | None,
    state: Callable[[], dict[str, Tensor]],
) -> dict[str, Any]:
    """Counts an epoch, keeps the weights `state()` where it is the best one so far; returns its record.

    `about` is what there is to say of the pass over the training set, `measured` is on validation.
    """
    progress.epoch += 1
    record: dict[str, Any] = {"epoch": progress.epoch, **about}
    if measured is not None:
        record |= measured.to_mapping("validation_")
    score = _score(measured, config.select_on, progress.epoch)
    if score > progress.best_score:
        progress.best_score, progress.best_epoch = score, progress.epoch
        progress.best_state = state()
    progress.history.append(record)
    return record


def spend(progress: Progress, record: dict[str, Any], seconds: float) -> None:
    """Adds the time of an epoch, and notes in its record what the training has taken so far."""
    progress.seconds += seconds
    record["seconds"] = round(progress.seconds, 3)


def is_over(progress: Progress, config: TrainingConfig, *, validated: bool) -> bool:
    """Whether the last epoch was trained, or validation has not improved for as long as patience lasts."""
    since = progress.epoch - progress.best_epoch
    return progress.epoch >= config.epochs or (validated and 0 < config.patience <= since)


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
        self.optimiser = torch.optim.AdamW(parameter_groups(head, config))
        self.rates = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.progress = Progress()
        self.key = _key(config, training, validation, head)

    def go(self, resume: bool) -> Outcome:
        if isinstance(self.head, Adaptable):
            self.head.adapt(self.training.embeddings)
        if resume and self.folder is not None and (self.folder / CHECKPOINT).exists():
            self.progress = load_checkpoint(self.folder / CHECKPOINT, self.head, self.optimiser, self.key)
        while not is_over(self.progress, self.config, validated=self.validation is not None):
            self._epoch()
        self.head.load_state_dict(self.progress.best_state)
        self.head.eval()
        return Outcome(self.progress.best_epoch, tuple(self.progress.history), self.progress.seconds)

    def _epoch(self) -> None:
        start = time.perf_counter()
        loss = self._pass_over_training()
        about = {"learning_rate": float(self.optimiser.param_groups[0]["lr"]), "train_loss": loss}
        measured = None if self.validation is None else self._measured()
        record = close_epoch(self.progress, self.config, about, measured, self._state)
        spend(self.progress, record, time.perf_counter() - start)
        self._record(record)

    def _state(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.head.state_dict().items()}

    def _measured(self) -> Metrics:
        assert self.validation is not None
        # No larger than a training batch: a circuit that trained must not be too large to validate.
        return evaluate(self.head, self.validation, self.config.batch_size)

    def _pass_over_training(self) -> float:
        self.head.train()
        epoch, total = self.progress.epoch, 0.0
        steps = batches(self.config, epoch, len(self.training.labels))
        with _seeded(self.config.seed * 1_000_003 + epoch, self.training.embeddings.device):
            for step, rows in enumerate(steps):
                factor = learning_rate_factor(self.config, epoch * len(steps) + step, len(steps))
                set_rates(self.optimiser, self.rates, factor)
                total += self._step(rows) * len(rows)
        return total / len(self.training.labels)

    def _step(self, rows: Tensor) -> float:
        self.optimiser.zero_grad()
        loss = self.loss(self.head(self.training.embeddings[rows]), self.training.labels[rows])
        value = float(loss.detach())
        check_finite(value, self.progress.epoch + 1)
        loss.backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.head.parameters(), self.config.clip_norm)
        self.optimiser.step()
        return value

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


def parameter_groups(head: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
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
