"""Training several heads of one architecture at once, each by its own data and seed, in one optimiser.

A step of a small head is mostly what torch spends on it, whatever the size of its tensors; a stack of heads
spends that once. The heads' batches follow each other in one batch, of which every layer with parameters
gives each head's part its own.

What comes of a head does not depend, to the last bit, on the heads it is stacked with: circuits and
everything elementwise work row by row, and linear layers are multiplied head by head, because how a matrix
product is rounded depends on the place of its operands in memory.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.backends import QuantumLayer
from hybridqies.backends.stacked import StackedQuantumLayer, joined
from hybridqies.errors import InputError
from hybridqies.training.checkpoint import Progress
from hybridqies.training.config import TrainingConfig
from hybridqies.training.metrics import Metrics, measure
from hybridqies.training.trainer import (
    Adaptable,
    Labelled,
    Outcome,
    Solvable,
    batches,
    check_finite,
    class_weights,
    close_epoch,
    head_classes,
    is_over,
    learning_rate_factor,
    parameter_groups,
    set_rates,
    spend,
)

MOST_AMPLITUDES = 100_000
"""Amplitudes of a step, over all circuits and samples, above which a stack gains next to nothing.

Measured on one thread, dressed heads on 384 numbers in batches of 16: five in a stack train 2.4 times as fast
as one after the other with 4 qubits, 2.1 times with 8, 1.8 times with 10 and 1.05 times with 12.
"""


@dataclass(frozen=True, slots=True)
class Training:
    """One head with what it is trained on and how, as `train` takes them."""

    head: nn.Module
    training: Labelled
    validation: Labelled | None
    config: TrainingConfig


def why_alone(head: nn.Module, config: TrainingConfig) -> str | None:
    """Why a head has to be trained by itself, or gains nothing from a stack; None where it can be stacked."""
    if isinstance(head, Solvable):
        return "it has a solver of its own"
    if any(isinstance(part, nn.Dropout) and part.p > 0 for part in head.modules()):
        return "its dropout would draw other masks in a stack"
    if any(True for _ in head.buffers()):
        return "it has tensors beside its parameters, which are not the same in every head"
    circuits = [part for part in head.modules() if isinstance(part, QuantumLayer)]
    for layer in circuits:
        if layer.backend.spec != "statevector":
            return f"backend {layer.backend.spec!r} is not the exact native simulator"
    layers = [part for part in head.modules() if isinstance(part, QuantumLayer | nn.Linear)]
    known = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for name, parameter in head.named_parameters():
        if id(parameter) not in known:
            return f"its parameter {name!r} is neither of a circuit nor of a linear layer"
    amplitudes = config.batch_size * sum((layer.copies or 1) << layer.circuit.n_qubits for layer in circuits)
    if amplitudes > MOST_AMPLITUDES:
        return f"its steps of {amplitudes:,} amplitudes are circuits above all, which no stack makes faster"
    return None


def train_stack(trainings: Sequence[Training]) -> tuple[Outcome, ...]:
    """Trains every head in place and leaves it at its own best epoch, as `train` does; they share the time.

    A head that stops early keeps what it has, and the stack goes on until the last one is through.

    Raises
    ------
    InputError: settings that differ in more than the seed, parts of different sizes, or a head that has to
        be trained by itself; or a loss that stopped being finite in any of them, which spoils the stack.
    """
    first = trainings[0]
    for each in trainings:
        if replace(each.config, seed=0) != replace(first.config, seed=0) or _sizes(each) != _sizes(first):
            raise InputError(
                "a stack was given trainings that differ in more than head, rows and seed",
                expected="one configuration, and parts of the same sizes",
            )
        reason = why_alone(each.head, each.config)
        if reason is not None:
            raise InputError(f"a head cannot be trained in a stack: {reason}")
    return _Stack(trainings).go()


def _sizes(training: Training) -> tuple[int, int]:
    """Rows of training and validation part, which all members of a stack have in common."""
    validation = training.validation
    return len(training.training.labels), 0 if validation is None else len(validation.labels)


class _Stack:
    """S heads in one model with parameters (S, ...), and each head's own progress."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings, self.config = trainings, trainings[0].config
        for each in trainings:
            if isinstance(each.head, Adaptable):
                each.head.adapt(each.training.embeddings)
        self.model = _side_by_side([each.head for each in trainings])
        self.losses = [_loss(each) for each in trainings]
        self.optimiser = torch.optim.AdamW(parameter_groups(self.model, self.config))
        self.rates = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.progress = [Progress() for _ in trainings]
        self.validated = trainings[0].validation is not None

    def go(self) -> tuple[Outcome, ...]:
        while at_it := [at for at, each in enumerate(self.progress) if not self._is_over(each)]:
            self._epoch(at_it)
        outcomes = []
        for training, progress in zip(self.trainings, self.progress, strict=True):
            training.head.load_state_dict(progress.best_state)
            training.head.eval()
            outcomes.append(Outcome(progress.best_epoch, tuple(progress.history), progress.seconds))
        return tuple(outcomes)

    def _is_over(self, progress: Progress) -> bool:
        return is_over(progress, self.config, validated=self.validated)

    def _epoch(self, at_it: Sequence[int]) -> None:
        start = time.perf_counter()
        # Whoever is still at it has been from the first epoch on.
        losses = self._pass_over_training(at_it, self.progress[at_it[0]].epoch)
        rate = float(self.optimiser.param_groups[0]["lr"])
        measured = self._measured(at_it) if self.validated else [None] * len(at_it)
        records = []
        for at, metrics in zip(at_it, measured, strict=True):
            about = {"learning_rate": rate, "train_loss": losses[at]}
            records.append(close_epoch(self.progress[at], self.config, about, metrics, self._state_of(at)))
        share = (time.perf_counter() - start) / len(at_it)
        for at, record in zip(at_it, records, strict=True):
            spend(self.progress[at], record, share)

    def _state_of(self, at: int) -> Callable[[], dict[str, Tensor]]:
        stacked = self.model.state_dict()
        return lambda: {name: value[at].detach().clone() for name, value in stacked.items()}

    def _pass_over_training(self, at_it: Sequence[int], epoch: int) -> list[float]:
        n_rows = len(self.trainings[0].training.labels)
        orders = [batches(each.config, epoch, n_rows) for each in self.trainings]
        n_steps = len(orders[0])
        totals = [0.0] * len(self.trainings)
        for step, taken in enumerate(zip(*orders, strict=True)):
            factor = learning_rate_factor(self.config, epoch * n_steps + step, n_steps)
            set_rates(self.optimiser, self.rates, factor)
            losses = self._step(taken)
            for at in at_it:
                # What becomes of a head that has stopped early is nobody's matter any more.
                check_finite(losses[at], epoch + 1)
                totals[at] += losses[at] * len(taken[at])
        return [total / n_rows for total in totals]

    def _step(self, taken: Sequence[Tensor]) -> list[float]:
        parts = [
            (loss, each.training.embeddings[rows], each.training.labels[rows])
            for loss, each, rows in zip(self.losses, self.trainings, taken, strict=True)
        ]
        self.optimiser.zero_grad()
        logits = self.model(torch.cat([embeddings for _, embeddings, _ in parts])).chunk(len(parts))
        losses = torch.stack(
            [loss(own, labels) for own, (loss, _, labels) in zip(logits, parts, strict=True)]
        )
        values: list[float] = losses.detach().tolist()
        losses.sum().backward()
        if self.config.clip_norm:
            self._clip()
        self.optimiser.step()
        return values

    def _clip(self) -> None:
        """What `clip_grad_norm_` does, for each head by itself."""
        slopes = [each.grad for each in self.model.parameters() if each.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(each.flatten(1), dim=1) for each in slopes], dim=1)
        factors = (self.config.clip_norm / (torch.linalg.vector_norm(norms, dim=1) + 1e-6)).clamp(max=1.0)
        for each in slopes:
            each.mul_(factors.reshape(-1, *[1] * (each.dim() - 1)))

    @torch.no_grad()
    def _measured(self, at_it: Sequence[int]) -> list[Metrics]:
        """Metrics on validation of the heads `at_it`, in batches no larger than those of training."""
        parts = [each.validation for each in self.trainings if each.validation is not None]
        rows = torch.stack([part.embeddings for part in parts]).split(self.config.batch_size, dim=1)
        logits = [self.model(each.flatten(0, 1)).unflatten(0, each.shape[:2]) for each in rows]
        probabilities = torch.softmax(torch.cat(logits, dim=1), dim=2).cpu().numpy()
        return [measure(probabilities[at], parts[at].labels.cpu().numpy()) for at in at_it]


def _loss(training: Training) -> nn.Module:
    count = head_classes(training.head, training.training)
    weights = class_weights(training.training.labels, count, training.config.class_weights)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=training.config.label_smoothing)


def _side_by_side(heads: Sequence[nn.Module]) -> nn.Module:
    """One model of all heads: the layers of each, side by side, where the first head has its own."""
    model = copy.deepcopy(heads[0])
    for name, part in list(model.named_modules()):
        layers: list[Any] = [head.get_submodule(name) for head in heads]
        if isinstance(part, QuantumLayer):
            model.set_submodule(name, StackedQuantumLayer(layers))
        elif isinstance(part, nn.Linear):
            model.set_submodule(name, _StackedLinear(layers))
    return model


class _StackedLinear(nn.Module):
    """Linear layers of S heads: inputs (S * B, I), head after head; weight (S, O, I) and bias (S, O)."""

    bias: nn.Parameter | None

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = joined([layer.weight for layer in layers])
        biases = [layer.bias for layer in layers]
        self.register_parameter("bias", None if biases[0] is None else joined(biases))

    def forward(self, inputs: Tensor) -> Tensor:
        """Values (S * B, O)."""
        rows = inputs.unflatten(0, (len(self.weight), -1))
        values: Tensor = _OneByOne.apply(rows, self.weight)  # type: ignore[no-untyped-call]
        if self.bias is not None:
            values = values + self.bias[:, None]
        return values.flatten(0, 1)


class _OneByOne(torch.autograd.Function):
    """Products of rows (S, B, I) and weights (S, O, I) head by head, of operands in memory of their own."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        return _products(rows, weights.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, weights = ctx.saved_tensors
        wants_rows, wants_weights = ctx.needs_input_grad
        return (
            _products(gradients, weights) if wants_rows else None,
            _products(gradients.transpose(1, 2), rows) if wants_weights else None,
        )


def _products(left: Tensor, right: Tensor) -> Tensor:
    return torch.stack([a.clone() @ b.clone() for a, b in zip(left.unbind(), right.unbind(), strict=True)])
