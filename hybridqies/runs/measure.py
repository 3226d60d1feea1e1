"""What is measured of a trained model on one part of the data, and how much of it is luck of the shots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from torch import nn

from hybridqies.training import (
    Labelled,
    Outcome,
    confusion,
    diagnose,
    is_sampled,
    measure,
    measure_classes,
    predict_probabilities,
    prediction_batch,
    probabilities_with_noise,
    read_confusion,
    record_confusion,
)


def measure_model(
    model: nn.Module, part: Labelled, classes: Sequence[Any], batch_size: int, prefix: str = ""
) -> dict[str, Any]:
    """Metrics, confusion matrix and, on a backend with shots or noise, the shot noise, behind `prefix`.

    `batch_size` is that of training.
    """
    labels = part.labels.cpu().numpy()
    batch = prediction_batch(model, len(part), batch_size)
    noise = None
    if is_sampled(model):
        probabilities, noise = probabilities_with_noise(model, part.inputs, labels, batch)
    else:
        probabilities = predict_probabilities(model, part.inputs, batch)
    record: dict[str, Any] = measure(probabilities, labels).to_mapping(prefix)
    record[f"n_{prefix.rstrip('_') or 'test'}"] = record.pop(f"{prefix}n")
    counts = confusion(probabilities, labels)
    record[f"{prefix}confusion"] = record_confusion(counts)
    record[f"{prefix}per_class"] = measure_classes(counts, classes)
    if noise is not None:
        record[f"{prefix}shot_noise"] = asdict(noise)
    return record


def diagnose_run(
    outcome: Outcome, measured: Mapping[str, Any], classes: Sequence[object], patience: int
) -> list[str]:
    """What is wrong with a training as far as it tells, each in one line; nothing for a healthy one.

    `measured` is what `measure_model` gave for validation and test.
    """
    parts = ("validation_confusion", "confusion")
    counts = sum(read_confusion(measured[name], len(classes)) for name in parts)
    each = np.arange(len(classes))
    truth, predicted = (np.repeat(each, np.sum(counts, axis=axis)).tolist() for axis in (1, 0))
    stopped = 0 < patience <= len(outcome.history) - outcome.best_epoch
    found = diagnose(outcome.history, predicted, classes, truth=truth, stopped_early=stopped)
    return list(map(str, found))
