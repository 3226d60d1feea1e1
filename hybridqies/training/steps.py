"""Which rows and which learning rate each step has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hybridqies.training.config import Schedule, TrainingConfig


def draw_batches(config: TrainingConfig, epoch: int, n_rows: int) -> tuple[Tensor, ...]:
    """The rows of each step of an epoch (counted from 0), in an order that (seed, epoch) alone decide."""
    order = np.random.default_rng([config.seed, epoch]).permutation(n_rows)
    rows: tuple[Tensor, ...] = torch.from_numpy(order).split(config.batch_size)
    return rows


def learning_rate_factor(config: TrainingConfig, step: int, steps_per_epoch: int) -> float:
    """What the learning rate is multiplied by at a step; `config.epochs` must be a number."""
    assert config.epochs is not None
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
