"""Expectations and the covariance of their errors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hybridqies.backends.truncation import Truncation


@dataclass(frozen=True, eq=False, slots=True)
class Estimate:
    """Expectations (B, M), and the covariance (B, M, M) of their errors; None where they are not sampled.

    `truncation` is what a tensor network discarded; None elsewhere.

    Observables read from the same shots have correlated errors, hence a covariance and not a column.
    """

    values: Tensor
    covariance: Tensor | None = None
    truncation: Truncation | None = None

    @property
    def standard_errors(self) -> Tensor:
        """One standard deviation of every value's error, (B, M); zero where they are not sampled."""
        if self.covariance is None:
            return torch.zeros_like(self.values)
        return self.covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()

    def to(self, like: Tensor) -> Estimate:
        """The estimate in the precision and on the device of `like`."""
        covariance = None if self.covariance is None else self.covariance.to(like)
        truncation = None if self.truncation is None else self.truncation.to(like)
        return Estimate(self.values.to(like), covariance, truncation)
