"""How a head is trained, as one frozen configuration."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hybridqies.errors import InputError


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
        at_least = {"epochs": 1, "batch_size": 1, "patience": 0, "seed": 0}
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise InputError(
                    f"training option {name!r} was given {getattr(self, name)}", expected=f"at least {least}"
                )
        for name in ("learning_rate", "encoder_learning_rate", "readout_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate < 100:
                raise InputError(f"{name} was given {rate}", expected="a number above 0 and below 100")
        for name in ("weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} was given {getattr(self, name)}", expected="0 or more")
        for name in ("warmup", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} was given {getattr(self, name)}", expected="0 or more and below 1")
