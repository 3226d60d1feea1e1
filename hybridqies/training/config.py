"""How a head is trained, as one frozen configuration."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hybridqies.options import within


class Schedule(enum.Enum):
    """How the learning rate goes over the epochs, after the warm-up."""

    CONSTANT = "constant"
    COSINE = "cosine"
    LINEAR = "linear"


class SelectOn(enum.Enum):
    """What the kept epoch is best in, on the validation set; ties go to the lower log-loss.

    LAST keeps the last epoch: with a schedule that ends near zero, choosing among
    epochs on a few dozen validation texts costs more than it gains.
    """

    ACCURACY = "accuracy"
    LOSS = "loss"
    LAST = "last"


class ClassWeights(enum.Enum):
    """Whether classes count by their rows, or each class the same."""

    NONE = "none"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """AdamW on cross-entropy, the best epoch chosen on validation.

    `encoder_learning_rate` is for the encoder circuits of a head that has them,
    `readout_learning_rate` for the last linear layer behind its circuit; None means the
    same as for the rest. `weight_decay` spares the angles of circuits. `warmup` is a
    fraction of the epochs; `clip_norm` of 0 clips nothing; `patience` of 0 never stops early.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.003
    encoder_learning_rate: float | None = None
    readout_learning_rate: float | None = 0.02
    weight_decay: float = 0.01
    schedule: Schedule = Schedule.COSINE
    warmup: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    class_weights: ClassWeights = ClassWeights.NONE
    patience: int = 0
    select_on: SelectOn = SelectOn.LOSS
    seed: int = 0

    def __post_init__(self) -> None:
        within(self, "training option", epochs=(1, 1e9), batch_size=(1, 1e9), patience=(0, 1e9))
        within(self, "training option", seed=(0, 2**32 - 1), weight_decay=(0, 1e6), clip_norm=(0, 1e12))
        within(self, "training option", warmup=(0, 0.999), label_smoothing=(0, 0.999))
        rates = ("learning_rate", "encoder_learning_rate", "readout_learning_rate")
        within(self, "training option", **dict.fromkeys(rates, (1e-12, 100.0)))
