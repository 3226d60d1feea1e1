"""What is measured of a fitted model on one part of the data, and how much of it is luck of the shots."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hybridqies.classifier import HybridClassifier
from hybridqies.training import (
    Labelled,
    confusion,
    is_sampled,
    measure,
    measure_classes,
    predict_probabilities,
    prediction_batch,
    probabilities_with_noise,
    record_confusion,
)


def measured(model: HybridClassifier, part: Labelled, prefix: str = "") -> dict[str, Any]:
    """Metrics, confusion matrix and, on a backend with shots or noise, the shot noise, behind `prefix`."""
    assert model.head_ is not None
    labels = part.labels.cpu().numpy()
    batch = prediction_batch(model.head_, len(part), model.training.batch_size)
    noise = None
    if is_sampled(model.head_):
        probabilities, noise = probabilities_with_noise(model.head_, part.inputs, labels, batch)
    else:
        probabilities = predict_probabilities(model.head_, part.inputs, batch)
    record: dict[str, Any] = measure(probabilities, labels).to_mapping(prefix)
    record[f"n_{prefix.rstrip('_') or 'test'}"] = record.pop(f"{prefix}n")
    counts = confusion(probabilities, labels)
    record[f"{prefix}confusion"] = record_confusion(counts)
    record[f"{prefix}per_class"] = measure_classes(counts, model.classes_)
    if noise is not None:
        record[f"{prefix}shot_noise"] = asdict(noise)
    return record
