"""What is measured of predictions: accuracy, macro-F1, log-loss, calibration error."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from hybridqies.errors import InputError
from hybridqies.training.config import SelectOn

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Measured on `n` samples; the calibration error is the expected one over 15 bins of confidence."""

    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    n: int

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        """As JSON values, each name behind `prefix`."""
        return {prefix + name: value for name, value in asdict(self).items()}

    def score(self, rule: SelectOn) -> tuple[float, float]:
        """What the kept epoch has the most of: accuracy or likelihood, and among equals the likelihood."""
        first = self.accuracy if rule is SelectOn.ACCURACY else -self.log_loss
        return first, -self.log_loss


def measure(probabilities: FloatArray, labels: IntArray) -> Metrics:
    """Metrics of class probabilities (B, K) against class indices (B,).

    Raises
    ------
    InputError: there is nothing to measure.
    """
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    if len(labels) == 0:
        raise InputError("metrics of 0 samples were asked for", expected="at least one labelled text")
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return Metrics(
        accuracy=float(accuracy_score(labels, predicted)),
        macro_f1=float(f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)),
        log_loss=float(log_loss(labels, exact, labels=classes)),
        calibration_error=calibration_error(exact, labels),
        n=len(labels),
    )


def reliability(probabilities: FloatArray, labels: IntArray, bins: int = 15) -> list[dict[str, float]]:
    """Confidence and accuracy in each equal-width bin that has samples, as JSON values, with their number."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    sizes, sums, hits = (np.bincount(at, weights, minlength=bins) for weights in (None, confidence, right))
    return [
        {"n": int(size), "confidence": float(total / size), "accuracy": float(hit / size)}
        for size, total, hit in zip(sizes, sums, hits, strict=True)
        if size
    ]


def calibration_error(probabilities: FloatArray, labels: IntArray, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their samples.

    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017, Eq. 3.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(at, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
