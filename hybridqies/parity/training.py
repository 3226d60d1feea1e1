"""Training of a parity net by the one loop, with the loss of every quantum logged on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.options import within
from hybridqies.parity.net import ParityNet, count_parameters
from hybridqies.parity.problem import ParityProblem, ParityRows
from hybridqies.training import CrossEntropy, Rates, Schedule, SelectOn, TrainingConfig, fit

OnStep = Callable[[int, int], None]
Floats = NDArray[np.float64]

LEARNT = 0.5
"""A quantum is learnt when its loss falls below so many bits. Chance is 1."""
_TEST_ROWS_OF_TASK = 100
_TEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class ParityTraining:
    """How a net is trained: Adam, `steps` steps of `batch_size` rows.

    `samples` rows are used again and again; None means that every row is new. The loss of each quantum is
    measured every `log_every` steps.

    Raises
    ------
    InputError: a value out of its range, or more samples than the steps take rows.
    """

    steps: int = 5000
    batch_size: int = 1000
    learning_rate: float = 0.01
    samples: int | None = None
    log_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        within(self, "parity option", steps=(1, 1e9), batch_size=(1, 1e9), samples=(1, 1e12))
        within(self, "parity option", log_every=(1, 1e9), learning_rate=(1e-12, 100), seed=(0, 2**31 - 1))
        if self.samples is not None and self.samples > self.n_rows:
            raise InputError(
                f"{self.samples:,} samples were given for {self.steps:,} steps of {self.batch_size:,} rows",
                expected=f"at most {self.n_rows:,}, which are all that such a training takes",
                todo="give more steps",
            )

    @property
    def n_rows(self) -> int:
        """How many rows the steps take."""
        return self.steps * self.batch_size


@dataclass(frozen=True, slots=True)
class QuantumLog:
    """The loss of every quantum in bits, (T, n_tasks), after `steps` (T,), and the mean by frequency (T,)."""

    width: int
    n_parameters: int
    n_samples: int
    steps: NDArray[np.int64]
    losses: Floats
    means: Floats

    @property
    def best(self) -> float:
        """The lowest mean loss in bits, as if training had been stopped there."""
        return float(self.means.min())

    def learnt_at(self) -> tuple[int | None, ...]:
        """The first logged step at which each quantum is learnt."""
        below = self.losses < LEARNT
        first = below.argmax(axis=0)
        return tuple(
            int(self.steps[at]) if below[at, task] else None for task, at in enumerate(first.tolist())
        )


def train_parity_net(
    problem: ParityProblem,
    width: int,
    training: ParityTraining,
    *,
    on_step: OnStep | None = None,
) -> tuple[ParityNet, QuantumLog]:
    """A net of that width, trained, and the log of its quanta.

    Raises
    ------
    InputError: the loss is no longer finite.
    """
    generator = torch.Generator().manual_seed(training.seed)
    model = ParityNet(problem, width, generator)
    test = _TestRows(problem)
    steps: list[int] = []
    losses: list[Floats] = []

    def log(done: int, total: int) -> None:
        if done % training.log_every == 0 or done == total:
            steps.append(done)
            losses.append(test.measure(model))
        if on_step is not None:
            on_step(done, total)

    # One epoch, however few the rows: every net has as many steps.
    rows = ParityRows(problem, training.n_rows, training.seed, different=training.samples)
    fit(model, rows, None, CrossEntropy(), _config(training), on_step=log)
    measured = np.stack(losses)
    frequencies = problem.frequencies
    about = (width, count_parameters(problem, width), training.samples or training.n_rows)
    return model, QuantumLog(*about, np.array(steps), measured, measured @ frequencies)


def _config(training: ParityTraining) -> TrainingConfig:
    return TrainingConfig(
        epochs=1,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        rates=Rates(readout=None, encoder=None),
        weight_decay=0.0,
        schedule=Schedule.CONSTANT,
        select_on=SelectOn.LAST,
        seed=training.seed,
    )


class _TestRows:
    """Rows that no training sees, as many of every task."""

    def __init__(self, problem: ParityProblem) -> None:
        count = problem.n_tasks * _TEST_ROWS_OF_TASK
        batch = ParityRows(problem, count, _TEST_SEED, balanced=True)[slice(None)]
        self.inputs: Any = batch.inputs
        self.labels: Tensor = batch.labels
        self.n_tasks = problem.n_tasks

    @torch.no_grad()
    def measure(self, model: nn.Module) -> Floats:
        """The loss of every task in bits, (n_tasks,)."""
        losses = nn.functional.cross_entropy(model(self.inputs), self.labels, reduction="none")
        by_task = losses.double().view(-1, self.n_tasks).mean(0) / math.log(2)
        return np.asarray(by_task.numpy(), dtype=np.float64)
