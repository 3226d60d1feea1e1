"""The training loop: any model, any rows, any objective; AdamW, and the best epoch on validation is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.training.checkpoint import (
    CHECKPOINT,
    check_epochs,
    key_of,
    load_checkpoint,
    restore,
    save_checkpoint,
    snapshot,
)
from hybridqies.training.compilation import stopwatch
from hybridqies.training.compiled_loss import check_compilable, compile_loss, compiling, make_loss
from hybridqies.training.config import TrainingConfig
from hybridqies.training.distributed import Ranks, unsynchronised
from hybridqies.training.groups import make_optimiser
from hybridqies.training.history import write_history
from hybridqies.training.numerics import (
    check_precision,
    device_of,
    recomputing,
    seed_of_epoch,
    seeded,
    undisturbed,
)
from hybridqies.training.objectives import Objective, Solvable
from hybridqies.training.progress import (
    Outcome,
    Progress,
    add_time,
    check_finite,
    close_epoch,
    is_over,
    outcome_of,
)
from hybridqies.training.rows import Labelled, Rows, rows_of_epoch
from hybridqies.training.solving import solve
from hybridqies.training.steps import draw_batches, learning_rate_factor, set_rates

OnEpoch = Callable[[dict[str, Any]], None]
OnStep = Callable[[int, int], None]
"""Called with how many steps are done and how many there are."""
R = TypeVar("R", bound=Rows)


@runtime_checkable
class Adaptable(Protocol):
    """A model that fits its scaling to the training inputs before anything else."""

    def adapt(self, inputs: Any) -> None:
        """Takes what it needs from all training inputs: embeddings (B, D), or `Inputs` to take batches of."""


def fit(
    model: nn.Module,
    training: Rows,
    validation: R | None,
    objective: Objective[R],
    config: TrainingConfig,
    *,
    folder: Path | None = None,
    resume: bool = False,
    compiled: bool = False,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
) -> Outcome:
    """Trains `model` in place and leaves it at its best epoch on `validation` (the last one without).

    With a `folder`, `metrics.jsonl` and a checkpoint are written there after every
    epoch; with `resume` a checkpoint found there is continued, to the same
    result bit for bit, or to more epochs than it was begun with. `on_epoch` is called with each
    epoch's record, `on_step` after each step. In a process group of torch each process trains on its share
    of every batch, and the first one writes and reports. `compiled` has torch compile the step before the
    first one; values differ by rounding alone, and a checkpoint may be continued either way.

    Raises
    ------
    InputError: no training rows, a loss that is not finite, `resume` without a `folder`, fewer epochs
        than the checkpoint has, a precision that the card lacks, a step that cannot be compiled, or a model
        that several processes can't train.
    ModelFolderError: the checkpoint is damaged, or of another training.
    """
    if len(training) == 0:
        raise InputError("training was given 0 rows", expected="at least one of each class")
    if resume and folder is None:
        raise InputError(
            "resume was given without a folder", expected="the folder of the interrupted training"
        )
    ranks = Ranks.current()
    ranks.check(model)
    check_precision(config.compute.precision, device_of(model))
    if compiled:
        check_compilable(model, ranks.size)
    config = config.for_rows(len(training))
    with undisturbed(device_of(model)):
        if isinstance(model, Solvable):
            adapt(model, training)
            return solve(model, training, validation, objective, config, folder)
        run = _Run(model, training, validation, objective, config, folder, ranks)
        run.on_epoch, run.on_step, run.compiled = on_epoch, on_step, compiled
        return run.go(resume)


def adapt(model: nn.Module, training: Rows) -> None:
    """Shows the training inputs to a model that scales itself to them."""
    if isinstance(model, Adaptable):
        model.adapt(training.inputs if isinstance(training, Labelled) else training[slice(None)].inputs)


class _Run:
    """One training by gradients; every random draw of an epoch comes from (seed, epoch, rank) alone."""

    def __init__(
        self,
        model: nn.Module,
        training: Rows,
        validation: Rows | None,
        objective: Objective[Any],
        config: TrainingConfig,
        folder: Path | None,
        ranks: Ranks,
    ) -> None:
        self.model, self.training, self.validation = model, training, validation
        self.objective, self.config, self.ranks = objective, config, ranks
        self.folder = folder
        self.on_epoch: OnEpoch | None = None
        self.on_step: OnStep | None = None
        self.compiled = False
        self.device = device_of(model)
        self.compute = make_loss(objective, config.compute.precision, self.device)
        self.optimiser = make_optimiser(model, config)
        self.rates = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.progress = Progress()
        self.called = model
        self.rows: Rows = training
        self.key = ""
        if folder is not None:
            self.key = key_of(config, objective.describe(), training, validation, model, ranks.size)

    def go(self, resume: bool) -> Outcome:
        adapt(self.model, self.training)
        if resume:
            self._resume()
        self.called = self.ranks.wrap(self.model, lambda: self._loss(torch.arange(1)))
        validated = self.validation is not None
        with recomputing(self.model, self.config.compute.checkpointing):
            if self.compiled and not is_over(self.progress, self.config, validated=validated):
                self._compile()
            while not is_over(self.progress, self.config, validated=validated):
                self._epoch()
        restore(self.model, self.progress.best_state)
        self.model.eval()
        self.ranks.wait()
        return outcome_of(self.progress)

    def _resume(self) -> None:
        assert self.folder is not None
        path = self.folder / CHECKPOINT
        self.ranks.check_same(path.exists(), f"find a checkpoint in {str(self.folder)!r}", self.device)
        if path.exists():
            self.progress = load_checkpoint(path, self.model, self.optimiser, self.key)
            check_epochs(self.progress, self.config)

    def _compile(self) -> None:
        """Compiles the step for each size of a batch; computed gradients are thrown away."""
        self.compute = compile_loss(self.objective, self.config.compute.precision, self.device)
        self.model.train()
        self.rows = rows_of_epoch(self.training, self.progress.epoch)
        steps = draw_batches(self.config, self.progress.epoch, len(self.training))
        before = snapshot(self.model)
        with compiling(self.device), seeded(self.config.seed, self.device):
            for rows in {len(rows): rows for rows in steps}.values():
                self._gradients(rows)
                self.optimiser.zero_grad()
        # A forward pass may have changed buffers.
        restore(self.model, before)

    def _epoch(self) -> None:
        with stopwatch(self.model) as seconds:
            record = self._train_epoch()
            add_time(self.progress, record, seconds())
        self._record(record)

    def _train_epoch(self) -> dict[str, Any]:
        loss = self._pass_over_training()
        about = {"learning_rate": float(self.optimiser.param_groups[0]["lr"]), "train_loss": loss}
        measured = None
        if self.validation is not None:
            # No more than in training: a circuit that trained must not be too large to validate.
            measured = self.objective.measure(self.model, self.validation, self.config.rows_at_once)
        return close_epoch(
            self.progress,
            self.config,
            about,
            measured,
            lambda: snapshot(self.model),
            agree=lambda score: self.ranks.of_first(score, self.device),
        )

    def _pass_over_training(self) -> float:
        self.model.train()
        self.called.train()
        epoch, total = self.progress.epoch, 0.0
        self.rows = rows_of_epoch(self.training, epoch)
        epochs = self.config.n_epochs(len(self.training))
        steps = draw_batches(self.config, epoch, len(self.training))
        with seeded(seed_of_epoch(self.config.seed, epoch, self.ranks.rank), self.device):
            for step, rows in enumerate(steps):
                factor = learning_rate_factor(self.config, epoch * len(steps) + step, len(steps))
                set_rates(self.optimiser, self.rates, factor)
                total += self._step(rows) * len(rows)
                if self.on_step is not None and self.ranks.is_first:
                    self.on_step(epoch * len(steps) + step + 1, epochs * len(steps))
        return total / len(self.training)

    def _step(self, rows: Tensor) -> float:
        self.optimiser.zero_grad()
        value = self.ranks.total(self._gradients(rows), self.device)
        check_finite(value, self.progress.epoch + 1)
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimiser.step()
        return value

    def _gradients(self, rows: Tensor) -> float:
        """Adds the gradients of the batch's mean loss; returns this process's summand of it."""
        if self.ranks.size == self.config.compute.accumulation == 1:
            loss = self._loss(rows)
            value = float(loss.detach())
            check_finite(value, self.progress.epoch + 1)
            loss.backward()
            return value
        parts, value = self._parts(rows), 0.0
        for at, (part, share) in enumerate(parts):
            with unsynchronised(self.called, last=at == len(parts) - 1):
                loss = self._loss(part)
                # Gradients are averaged over processes, and have to be summed.
                (loss * (share * self.ranks.size)).backward()
            value += float(loss.detach()) * share
        return value

    def _parts(self, rows: Tensor) -> list[tuple[Tensor, float]]:
        """The parts of a batch that this process computes in turn, each with its share of the mean."""
        own = self.ranks.share(rows).tensor_split(self.config.compute.accumulation)
        weights = [self.objective.weight(self.rows[part]) if len(part) else 0.0 for part in own]
        # Parts that count nothing have no mean.
        counted = [(part, weight) for part, weight in zip(own, weights, strict=True) if weight > 0]
        if not counted:
            # A process without rows has to take part in averaging gradients all the same.
            some = next((row for row in rows.split(1) if self.objective.weight(self.rows[row]) > 0), rows)
            return [(some, 0.0)]
        whole = self.objective.weight(self.rows[rows])
        return [(part, weight / whole) for part, weight in counted]

    def _loss(self, rows: Tensor) -> Tensor:
        return self.compute(self.called, self.rows[rows].to(self.device))

    def _record(self, record: dict[str, Any]) -> None:
        if not self.ranks.is_first:
            return
        if self.folder is not None:
            # The checkpoint last: what it promises is then already on disk.
            write_history(self.folder, self.progress.history)
            save_checkpoint(self.folder / CHECKPOINT, self.model, self.optimiser, self.progress, self.key)
        if self.on_epoch is not None:
            self.on_epoch(record)
