"""Perplexity of a causal language model, with an interval over windows of text, and paired ratios."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hybridqies.errors import DataError
from hybridqies.training import token_losses

LEVEL = 0.95
_LARGEST = 700.0


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Perplexity:
    """The mean loss of each window in nats for each token, and how fast they were read."""

    losses: tuple[float, ...]
    tokens_per_second: float

    @property
    def interval(self) -> Interval:
        """The perplexity, with a t interval on the mean of the windows' losses."""
        return _exponential(self.losses)

    def ratio_to(self, other: Perplexity) -> Interval:
        """The quotient with another of the same windows; a t interval on the paired differences."""
        return _exponential([mine - its for mine, its in zip(self.losses, other.losses, strict=True)])


def measure_perplexity(model: nn.Module, windows: Tensor) -> Perplexity:
    """The perplexity on windows (N, T) of token ids; each is read alone, and its first token isn't scored."""
    was_training = model.training
    model.eval()
    start = time.perf_counter()
    with torch.no_grad():
        losses = [float(token_losses(model, window[None]).mean()) for window in windows]
    seconds = time.perf_counter() - start
    model.train(was_training)
    return Perplexity(tuple(losses), windows.numel() / seconds)


def cut_windows(ids: Sequence[int], n_windows: int, width: int) -> Tensor:
    """The first n_windows · width token ids as windows (N, T).

    Raises
    ------
    DataError: there are fewer.
    """
    needed = n_windows * width
    if len(ids) < needed:
        raise DataError(
            f"the text has {len(ids)} tokens",
            expected=f"{needed} for {n_windows} windows of {width}",
            todo="give a longer text, or fewer or shorter windows",
        )
    return torch.tensor(ids[:needed]).reshape(n_windows, width)


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of two or more values with its 95 % t interval."""
    from scipy import stats

    count, mean = len(values), math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in values) / (count - 1) / count)
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * spread
    return Interval(mean, mean - half, mean + half)


def _exponential(values: Sequence[float]) -> Interval:
    """Exp of the mean of two or more values, with a t interval."""
    found = mean_interval(values)
    # JSON has no infinity.
    return Interval(*(math.exp(min(each, _LARGEST)) for each in (found.value, found.low, found.high)))
