"""Seeds in a stack: trainings that differ in rows and seed only, done at once in one optimiser.

A step of a small head mostly costs what torch needs for any step, whatever the size of its tensors; a stack
of heads pays that once. The batches of the heads follow each other in one batch, and every layer with
parameters applies each head's own to that head's part. `fit_many` is the only entry.

The result of a head does not depend, to the last bit, on the heads that it is stacked with: circuits and
everything elementwise work row by row, and linear layers are multiplied head by head, because how a matrix
product is rounded depends on the place of its operands in memory.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.backends import DEFAULT_BACKEND, QuantumLayer
from hybridqies.errors import InputError
from hybridqies.training.checkpoint import restore, snapshot
from hybridqies.training.compilation import stopwatch
from hybridqies.training.config import TrainingConfig
from hybridqies.training.groups import make_optimiser
from hybridqies.training.loop import adapt, fit
from hybridqies.training.metrics import Metrics, measure
from hybridqies.training.numerics import device_of, undisturbed
from hybridqies.training.objectives import CrossEntropy, Solvable
from hybridqies.training.progress import (
    Outcome,
    Progress,
    add_time,
    check_finite,
    close_epoch,
    is_over,
    outcome_of,
)
from hybridqies.training.rows import Labelled
from hybridqies.training.steps import draw_batches, learning_rate_factor, set_rates

MOST_AMPLITUDES = 100_000
"""Amplitudes of a step, over all circuits and samples, above which a stack gains next to nothing.

Measured on one thread, dressed heads on 384 numbers in batches of 16: five in a stack train 2.4 times as fast
as one after the other with 4 qubits, 2.1 times with 8, 1.8 times with 10 and 1.05 times with 12.
"""


@dataclass(frozen=True, slots=True)
class Training:
    """One head with what it is trained on and how, as `fit` takes them."""

    head: nn.Module
    training: Labelled
    validation: Labelled | None
    objective: CrossEntropy
    config: TrainingConfig

    def fit(self) -> Outcome:
        """`fit` of this one."""
        return fit(self.head, self.training, self.validation, self.objective, self.config)


def fit_many(trainings: Sequence[Training]) -> tuple[Outcome | InputError, ...]:
    """Trains every head in place and leaves it at its own best epoch, as `fit` does.

    Heads that can be stacked are; they share the time. Each gives its outcome, or why it can't be trained.
    """
    if all(why_alone(each.head, each.config) is None for each in trainings) and _fit_together(trainings):
        starts = [snapshot(each.head) for each in trainings]
        try:
            return _Stack(trainings).go()
        except InputError:
            # A loss that is not finite spoils the stack; the others' numbers are the same without it.
            for each, start in zip(trainings, starts, strict=True):
                restore(each.head, start)
    return tuple(_fit_one(each) for each in trainings)


def _fit_one(training: Training) -> Outcome | InputError:
    head, config = training.head, training.config
    try:
        if why_alone(head, config) is None:
            return _Stack([training]).go()[0]
        return training.fit()
    except InputError as error:
        return error


def _fit_together(trainings: Sequence[Training]) -> bool:
    """Whether they differ in head, rows and seed only, with as many rows."""
    return len({(replace(each.config, seed=0), _sizes(each)) for each in trainings}) == 1


def _sizes(training: Training) -> tuple[int, int]:
    validation = training.validation
    return len(training.training), 0 if validation is None else len(validation)


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
        if layer.backend.spec != DEFAULT_BACKEND:
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


class _Stack:
    """S heads in one model with parameters (S, ...), and each head's own progress."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        n_rows = len(trainings[0].training)
        self.trainings, self.config = trainings, trainings[0].config.for_rows(n_rows)
        for each in trainings:
            adapt(each.head, each.training)
        self.model = _side_by_side([each.head for each in trainings])
        self.losses = [_loss(each.objective) for each in trainings]
        self.optimiser = make_optimiser(self.model, self.config)
        self.rates = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.progress = [Progress() for _ in trainings]
        self.validated = trainings[0].validation is not None

    def go(self) -> tuple[Outcome, ...]:
        with undisturbed(device_of(self.model)):
            return self._go()

    def _go(self) -> tuple[Outcome, ...]:
        while active := [at for at, each in enumerate(self.progress) if not self._is_over(each)]:
            self._epoch(active)
        outcomes = []
        for training, progress in zip(self.trainings, self.progress, strict=True):
            training.head.load_state_dict(progress.best_state)
            training.head.eval()
            outcomes.append(outcome_of(progress))
        return tuple(outcomes)

    def _is_over(self, progress: Progress) -> bool:
        return is_over(progress, self.config, validated=self.validated)

    def _epoch(self, active: Sequence[int]) -> None:
        with stopwatch(self.model) as seconds:
            records = self._train_epoch(active)
            share = seconds() / len(active)
        for at, record in zip(active, records, strict=True):
            add_time(self.progress[at], record, share)

    def _train_epoch(self, active: Sequence[int]) -> list[dict[str, Any]]:
        # Those still training have been from the first epoch on.
        losses = self._pass_over_training(active, self.progress[active[0]].epoch)
        rate = float(self.optimiser.param_groups[0]["lr"])
        measured = self._measured(active) if self.validated else [None] * len(active)
        records = []
        for at, metrics in zip(active, measured, strict=True):
            about = {"learning_rate": rate, "train_loss": losses[at]}
            records.append(close_epoch(self.progress[at], self.config, about, metrics, self._state_of(at)))
        return records

    def _state_of(self, at: int) -> Callable[[], dict[str, Tensor]]:
        stacked = self.model.state_dict()
        return lambda: {name: value[at].detach().clone() for name, value in stacked.items()}

    def _pass_over_training(self, active: Sequence[int], epoch: int) -> list[float]:
        n_rows = len(self.trainings[0].training)
        orders = [draw_batches(each.config, epoch, n_rows) for each in self.trainings]
        n_steps = len(orders[0])
        totals = [0.0] * len(self.trainings)
        for step, taken in enumerate(zip(*orders, strict=True)):
            factor = learning_rate_factor(self.config, epoch * n_steps + step, n_steps)
            set_rates(self.optimiser, self.rates, factor)
            losses = self._step(taken)
            for at in active:
                # A head that has stopped early no longer counts.
                check_finite(losses[at], epoch + 1)
                totals[at] += losses[at] * len(taken[at])
        return [total / n_rows for total in totals]

    def _step(self, taken: Sequence[Tensor]) -> list[float]:
        parts = [
            (loss, each.training.inputs[rows], each.training.labels[rows])
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
        gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(each.flatten(1), dim=1) for each in gradients], dim=1)
        factors = (self.config.clip_norm / (torch.linalg.vector_norm(norms, dim=1) + 1e-6)).clamp(max=1.0)
        for each in gradients:
            each.mul_(factors.reshape(-1, *[1] * (each.dim() - 1)))

    @torch.no_grad()
    def _measured(self, active: Sequence[int]) -> list[Metrics]:
        """Metrics on validation of the heads `active`, in batches no larger than those of training."""
        parts = [each.validation for each in self.trainings if each.validation is not None]
        rows = torch.stack([part.inputs for part in parts]).split(self.config.batch_size, dim=1)
        logits = [self.model(each.flatten(0, 1)).unflatten(0, each.shape[:2]) for each in rows]
        probabilities = torch.softmax(torch.cat(logits, dim=1), dim=2).cpu().numpy()
        return [measure(probabilities[at], parts[at].labels.cpu().numpy()) for at in active]


def _loss(objective: CrossEntropy) -> nn.Module:
    """The loss on logits, which the stack has cut out of those of all heads."""
    return nn.CrossEntropyLoss(objective.class_weights, label_smoothing=objective.label_smoothing)


def _side_by_side(heads: Sequence[nn.Module]) -> nn.Module:
    """One model of all heads: the layers of each, side by side, where the first head has its own."""
    model = copy.deepcopy(heads[0])
    for name, part in list(model.named_modules()):
        layers: list[Any] = [head.get_submodule(name) for head in heads]
        if isinstance(part, QuantumLayer):
            model.set_submodule(name, _StackedCircuits(layers))
        elif isinstance(part, nn.Linear):
            model.set_submodule(name, _StackedLinear(layers))
    return model


class _StackedCircuits(QuantumLayer):
    """`layers` of S heads side by side: inputs (S * B, ..., F) in, head after head, (S * B, ..., M) out.

    Its `weights` are (S, W), or (S, copies, W). Every sample is a row of its own with its head's row of
    weights. The native simulator gives a row the same bits whatever other rows it is run with.
    """

    def __init__(self, layers: Sequence[QuantumLayer]) -> None:
        nn.Module.__init__(self)
        first = layers[0]
        self.circuit, self.copies, self.backend = first.circuit, first.copies, first.backend
        self.weights = _join([layer.weights for layer in layers])
        self.roles = first.roles

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations of every sample of every head."""
        leading, heads = inputs.shape[:-1], len(self.weights)
        each = self.weights[:, None].expand(-1, leading[0] // heads, *self.weights.shape[1:])
        count = math.prod(leading)
        rows = inputs.reshape(count, self.circuit.n_inputs)
        values = self._of_rows(rows, each.reshape(count, self.circuit.n_weights))
        return values.reshape(*leading, values.shape[-1])


class _StackedLinear(nn.Module):
    """Linear layers of S heads: inputs (S * B, I), head after head; weight (S, O, I) and bias (S, O)."""

    bias: nn.Parameter | None

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = _join([layer.weight for layer in layers])
        biases = [layer.bias for layer in layers]
        self.register_parameter("bias", None if biases[0] is None else _join(biases))

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


def _join(parameters: Sequence[Tensor]) -> nn.Parameter:
    """One parameter (S, ...) of the same one of S heads, frozen where theirs is."""
    values = torch.stack([each.detach() for each in parameters])
    return nn.Parameter(values, requires_grad=parameters[0].requires_grad)
