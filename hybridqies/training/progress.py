"""What a training carries from epoch to epoch, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.training.config import SelectOn, TrainingConfig
from hybridqies.training.objectives import Measurement

Score = tuple[float, float]


@dataclass
class Progress:
    """Everything beside weights and optimiser."""

    epoch: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_score: Score = (float("-inf"), float("-inf"))
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training gives back: which epoch was kept, every epoch's record, and the seconds it took."""

    best_epoch: int
    history: tuple[dict[str, Any], ...]
    seconds: float


def close_epoch(
    progress: Progress,
    config: TrainingConfig,
    about: Mapping[str, float],
    measured: Measurement | None,
    state: Callable[[], dict[str, Tensor]],
    agree: Callable[[Score], Score] = lambda score: score,
) -> dict[str, Any]:
    """Counts an epoch, and keeps the weights `state()` if it is the best one so far; returns its record.

    `about` describes the pass over the training rows, `measured` is on validation. `agree` gives
    processes that train together one score to decide by.

    Raises
    ------
    InputError: the score is not a number.
    """
    progress.epoch += 1
    record: dict[str, Any] = {"epoch": progress.epoch, **about}
    if measured is not None:
        record |= measured.to_mapping("validation_")
    score = agree(_score(measured, config.select_on, progress.epoch))
    if any(map(math.isnan, score)):
        # No epoch is better or worse than it, so that none would be kept.
        raise InputError(
            f"what was measured on validation became nan in epoch {progress.epoch}",
            expected="a number",
            todo="lower learning_rate or feature_scale",
        )
    if score > progress.best_score:
        progress.best_score, progress.best_epoch = score, progress.epoch
        progress.best_state = state()
    progress.history.append(record)
    return record


def add_time(progress: Progress, record: dict[str, Any], seconds: float) -> None:
    """Adds the time of an epoch, and notes in its record what the training has taken so far."""
    progress.seconds += seconds
    record["seconds"] = round(progress.seconds, 3)


def is_over(progress: Progress, config: TrainingConfig, *, validated: bool) -> bool:
    """Whether the last epoch was trained, or validation has not improved for `patience` epochs."""
    assert config.epochs is not None
    since = progress.epoch - progress.best_epoch
    return progress.epoch >= config.epochs or (validated and 0 < config.patience <= since)


def outcome_of(progress: Progress) -> Outcome:
    """What is known at the end."""
    return Outcome(progress.best_epoch, tuple(progress.history), progress.seconds)


def _score(measured: Measurement | None, rule: SelectOn, epoch: int) -> Score:
    """Later epochs win where nothing is measured."""
    if measured is None or rule is SelectOn.LAST:
        return float(epoch), 0.0
    return measured.score(rule)


def check_finite(loss: float, epoch: int) -> None:
    """Refuses a loss that is no longer finite in an epoch (counted from 1).

    Raises
    ------
    InputError: it is infinite or not a number.
    """
    if not math.isfinite(loss):
        raise InputError(
            f"the training loss became {loss} in epoch {epoch}",
            expected="a finite loss",
            todo="lower learning_rate or feature_scale",
        )
