"""Distillation: a model's embeddings are brought to given ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.training.contrastive import MeanLoss
from hybridqies.training.numerics import device_of
from hybridqies.training.prediction import evaluating, slices
from hybridqies.training.rows import Batch, Labelled, move


@dataclass(frozen=True)
class Distillation:
    """The squared distance of each embedding to its target, over the squared length of the target.

    It is 2 (1 − cos) where both have length 1. Labels are the targets, (B, D).
    Reimers & Gurevych, "Making monolingual sentence embeddings multilingual", arXiv:2004.09813, Eq. 1, whose
    squared distances are not divided.
    """

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean over the batch."""
        return relative_distances(model(batch.inputs), batch.labels).mean()

    def weight(self, batch: Batch) -> float:
        """Rows."""
        return float(len(batch))

    def measure(self, model: nn.Module, rows: Labelled, batch_size: int) -> MeanLoss:
        """The mean over all rows."""
        device = device_of(model)
        with evaluating(model):
            parts = [model(move(rows.inputs[part], device)).cpu() for part in slices(len(rows), batch_size)]
        return MeanLoss(float(relative_distances(torch.cat(parts), rows.labels).mean()), len(rows))

    def describe(self) -> Mapping[str, Any]:
        """There is nothing to choose."""
        return {"objective": "distillation"}


def relative_distances(found: Tensor, targets: Tensor) -> Tensor:
    """‖found − target‖² / ‖target‖² of each row of (B, D), (B,)."""
    lengths = targets.square().sum(-1).clamp_min(torch.finfo(targets.dtype).tiny)
    return (found - targets).square().sum(-1) / lengths
