"""What is minimised and measured: the interface, and cross-entropy for classification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from hybridqies.training.config import ClassWeights, SelectOn, TrainingConfig
from hybridqies.training.metrics import Metrics, measure
from hybridqies.training.prediction import predict_probabilities
from hybridqies.training.rows import Batch, Labelled, Rows

R_contra = TypeVar("R_contra", bound=Rows, contravariant=True)


class Measurement(Protocol):
    """What was measured on validation."""

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        """As JSON values, each name behind `prefix`."""

    def score(self, rule: SelectOn, /) -> tuple[float, float]:
        """The larger, the better; never asked for LAST."""


class Objective(Protocol[R_contra]):
    """A loss, and how a model is measured on rows that it was not trained on."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean loss over a batch, a scalar. It only calls `model`, and reads nothing else of it."""

    def weight(self, batch: Batch) -> float:
        """What the mean over the batch was divided by: rows, tokens, or the sum of their weights."""

    def measure(self, model: nn.Module, rows: R_contra, batch_size: int) -> Measurement:
        """Measured without gradients or dropout, on no more than `batch_size` rows at once."""

    def describe(self) -> Mapping[str, Any]:
        """Everything that decides the loss, as JSON values; part of a checkpoint's key."""


@runtime_checkable
class Solvable(Protocol):
    """A classifier with a solver of its own; it has no epochs."""

    def solve(self, inputs: Tensor, labels: Tensor, class_weights: Tensor | None, seed: int) -> None:
        """Sets the model's values from the whole training set."""


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of logits (B, K) with class indices (B,), each row weighted by `class_weights` (K,)."""

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    @classmethod
    def of(cls, config: TrainingConfig, training: Labelled, n_classes: int | None = None) -> CrossEntropy:
        """As `config` says for these rows; without `n_classes` the labels tell how many there are."""
        labels = training.labels
        count = n_classes or (int(labels.max()) + 1 if len(labels) else 0)
        return cls(config.label_smoothing, class_weights(labels, count, config.class_weights))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Weighted mean over the batch."""
        logits = model(batch.inputs)
        # Under autocast logits may be of half precision, in which a loss is too coarse.
        logits = logits.float() if logits.dtype is torch.bfloat16 else logits
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        return nn.functional.cross_entropy(
            logits, batch.labels, weight=weights, label_smoothing=self.label_smoothing
        )

    def weight(self, batch: Batch) -> float:
        """The summed weights of the rows' classes."""
        if self.class_weights is None:
            return float(len(batch))
        return float(self.class_weights.to(batch.labels.device, torch.float64)[batch.labels].sum())

    def measure(self, model: nn.Module, rows: Labelled, batch_size: int) -> Metrics:
        """Accuracy, macro-F1, log-loss and calibration error."""
        probabilities = predict_probabilities(model, rows.inputs, batch_size)
        return measure(probabilities, rows.labels.cpu().numpy())

    def describe(self) -> Mapping[str, Any]:
        """Label smoothing and class weights."""
        weights = None if self.class_weights is None else self.class_weights.tolist()
        return {"label_smoothing": self.label_smoothing, "class_weights": weights}

    def solve(self, model: Any, training: Rows, seed: int) -> None:
        """Has a model that is `Solvable` solve for its values."""
        whole = training[slice(None)]
        model.solve(whole.inputs, whole.labels, self.class_weights, seed)


def class_weights(labels: Tensor, n_classes: int, rule: ClassWeights) -> Tensor | None:
    """One weight for each class, inverse to its rows with a mean of 1 over rows; None when all are equal."""
    if rule is ClassWeights.NONE:
        return None
    counts = torch.bincount(labels, minlength=n_classes).clamp(min=1)
    return (len(labels) / (n_classes * counts)).to(torch.float32)
