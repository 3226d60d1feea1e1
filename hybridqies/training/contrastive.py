"""Objectives on distances between embeddings: what an encoder is tuned by before it has a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.training.config import SelectOn
from hybridqies.training.numerics import device_of
from hybridqies.training.prediction import evaluating, slices
from hybridqies.training.rows import Batch, Labelled, move


@dataclass(frozen=True, slots=True)
class MeanLoss:
    """The loss of an objective over all rows together, and how many they were."""

    loss: float
    n: int

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        """As JSON values, each name behind `prefix`."""
        return {f"{prefix}loss": self.loss, f"{prefix}n": self.n}

    def score(self, rule: SelectOn) -> tuple[float, float]:
        """The lower the loss, the better, whatever the rule: classes are not predicted."""
        del rule
        return -self.loss, -self.loss


class Contrastive(ABC):
    """A loss of embeddings (B, D) and class indices (B,), in which every row is compared with all others.

    It is a function of a whole batch, so a batch cannot be computed in parts.
    """

    name: ClassVar[str]

    @abstractmethod
    def compare(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar, of embeddings (B, D) of length 1."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch; its embeddings are brought to length 1."""
        embeddings = nn.functional.normalize(model(batch.inputs).float(), dim=1)
        return self.compare(embeddings, batch.labels)

    def weight(self, batch: Batch) -> float:
        """Rows."""
        return float(len(batch))

    def measure(self, model: nn.Module, rows: Labelled, batch_size: int) -> MeanLoss:
        """The loss of all rows together, whose embeddings are computed in batches.

        Raises
        ------
        InputError: no two rows are of one class.
        """
        device = device_of(model)
        with evaluating(model):
            parts = [model(move(rows.inputs[part], device)) for part in slices(len(rows), batch_size)]
            embeddings = nn.functional.normalize(torch.cat(parts).float(), dim=1)
            return MeanLoss(float(self.compare(embeddings, rows.labels.to(device))), len(rows))

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """Everything that decides the loss, as JSON values."""


@dataclass(frozen=True)
class SupervisedContrastive(Contrastive):
    """The supervised contrastive loss: rows of one class are drawn together, all others pushed apart.

    Khosla et al., "Supervised contrastive learning", arXiv:2004.11362, Eq. 2, without the rows that are alone
    in their class.
    """

    temperature: float = 0.07
    name: ClassVar[str] = "supcon"

    def compare(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean over rows that have a partner; 0 where none has."""
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        same = (labels[:, None] == labels) & ~itself
        similar = (embeddings @ embeddings.T / self.temperature).masked_fill(itself, float("-inf"))
        likely = similar - similar.logsumexp(dim=1, keepdim=True)
        partners = same.sum(dim=1)
        # Where a row is compared with itself stands minus infinity, which no weight of 0 takes away.
        drawn = likely.masked_fill(~same, 0.0).sum(dim=1) / partners.clamp(min=1)
        return -drawn.sum() / (partners > 0).sum().clamp(min=1)

    def describe(self) -> Mapping[str, Any]:
        """Its name and temperature."""
        return {"objective": self.name, "temperature": self.temperature}


@dataclass(frozen=True)
class CosinePairs(Contrastive):
    """Cosines of all pairs of a batch against 1 (same class) and 0 (others), as SetFit trains an encoder.

    Tunstall et al., "Efficient few-shot learning without prompts", arXiv:2209.11055, section 3. Pairs of both
    kinds have the same weight, where SetFit draws as many of each.
    """

    name: ClassVar[str] = "pairs"

    def compare(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean squared error of the two kinds, averaged; 0 where there is no pair."""
        first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=labels.device)
        cosines = (embeddings[first] * embeddings[second]).sum(dim=1)
        same = labels[first] == labels[second]
        kinds = [(cosines[same] - 1) ** 2, cosines[~same] ** 2]
        means = [kind.mean() for kind in kinds if len(kind)]
        return torch.stack(means).mean() if means else embeddings.sum() * 0

    def describe(self) -> Mapping[str, Any]:
        """Its name."""
        return {"objective": self.name}


def check_partners(labels: Tensor) -> None:
    """Refuses rows of which no two are of one class.

    Raises
    ------
    InputError: saying how many rows and classes there are.
    """
    if len(labels) and int(torch.bincount(labels).max()) < 2:
        raise InputError(
            f"{len(labels)} rows of as many classes were given to learn distances from",
            expected="at least two rows of a class",
        )
