"""How a model is trained, as one frozen configuration."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

from hybridqies.options import within

FEWEST_EPOCHS, MOST_EPOCHS, STEPS = 20, 100, 1000
"""Bounds of the epochs that are chosen by the number of rows, and the optimiser steps that they aim at."""


class Schedule(enum.Enum):
    """How the learning rate changes over the epochs, after the warm-up."""

    CONSTANT = "constant"
    COSINE = "cosine"
    LINEAR = "linear"


class SelectOn(enum.Enum):
    """Which epoch is kept: the best on validation by this measure; ties go to the lower loss.

    LAST keeps the last epoch: with a schedule that ends near zero, choosing among
    epochs on a few dozen validation rows costs more than it gains.
    """

    ACCURACY = "accuracy"
    LOSS = "loss"
    LAST = "last"


class ClassWeights(enum.Enum):
    """Whether each row has the same weight, or each class."""

    NONE = "none"
    BALANCED = "balanced"


class Precision(enum.Enum):
    """What a model computes in while it trains: BF16 is autocast, with weights kept as they are."""

    FLOAT32 = "float32"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True)
class Rates:
    """Learning rates by the role of a parameter (`hybridqies.roles`); None means `learning_rate`.

    Circuits and everything without a role of its own always have `learning_rate`.
    """

    encoding: float | None = None
    readout: float | None = 0.02
    encoder: float | None = 2e-5
    adapter: float | None = None

    def __post_init__(self) -> None:
        names = ("encoding", "readout", "encoder", "adapter")
        within(self, "training option", **dict.fromkeys(names, (1e-12, 100.0)))


@dataclass(frozen=True, slots=True)
class Compute:
    """How a step is computed; none of these changes what it computes, but for rounding.

    `accumulation` splits each batch into so many parts whose gradients are summed, for batches that
    don't fit into memory. `checkpointing` computes activations a second time instead of keeping them, in
    models that can (Hugging Face's `gradient_checkpointing_enable`).
    """

    precision: Precision = Precision.FLOAT32
    accumulation: int = 1
    checkpointing: bool = False

    def __post_init__(self) -> None:
        within(self, "training option", accumulation=(1, 1e6))


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """AdamW, and which epoch is kept.

    `epochs` of None are chosen by the number of rows, see `for_rows`. `rates` are learning rates by
    role. `weight_decay` is not applied to the angles of circuits. `warmup` is a fraction of the epochs;
    `clip_norm` of 0 clips nothing; `patience` of 0 never stops early.
    """

    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 0.003
    rates: Rates = Rates()
    weight_decay: float = 0.01
    schedule: Schedule = Schedule.COSINE
    warmup: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    class_weights: ClassWeights = ClassWeights.NONE
    patience: int = 0
    select_on: SelectOn = SelectOn.LOSS
    seed: int = 0
    compute: Compute = Compute()

    def __post_init__(self) -> None:
        within(self, "training option", epochs=(1, 1e9), batch_size=(1, 1e9), patience=(0, 1e9))
        within(self, "training option", seed=(0, 2**32 - 1), weight_decay=(0, 1e6), clip_norm=(0, 1e12))
        within(self, "training option", warmup=(0, 0.999), label_smoothing=(0, 0.999))
        within(self, "training option", learning_rate=(1e-12, 100.0))

    @property
    def rows_at_once(self) -> int:
        """The most rows that a model computes together while it trains."""
        return math.ceil(self.batch_size / self.compute.accumulation)

    def for_rows(self, count: int) -> TrainingConfig:
        """The same with a number of epochs: as given, or as many as make 1,000 steps, but 20 to 100."""
        return self if self.epochs is not None else replace(self, epochs=self.n_epochs(count))

    def n_epochs(self, count: int) -> int:
        """How many epochs training on `count` rows has."""
        if self.epochs is not None:
            return self.epochs
        steps_per_epoch = max(1, math.ceil(count / self.batch_size))
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS / steps_per_epoch)))
