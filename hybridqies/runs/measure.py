"""Measurements of a trained model on one part of the data, and their shot noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import nn

from hybridqies.tasks import TaskData
from hybridqies.training import (
    Labelled,
    Outcome,
    Rows,
    ShotNoise,
    TrainingConfig,
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
    reliability,
)
from hybridqies.training.metrics import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Answers:
    """Class probabilities (B, K) for rows with known classes (B,), and their noise if they were sampled."""

    probabilities: FloatArray
    labels: IntArray
    noise: ShotNoise | None = None


def ask_model(model: nn.Module, part: Labelled, batch_size: int) -> Answers:
    """What a model says of a part of the data; `batch_size` is that of training."""
    labels = part.labels.cpu().numpy()
    batch = prediction_batch(model, len(part), batch_size)
    if is_sampled(model):
        probabilities, noise = probabilities_with_noise(model, part.inputs, labels, batch)
        return Answers(probabilities, labels, noise)
    return Answers(predict_probabilities(model, part.inputs, batch), labels)


def measure_answers(answers: Answers, classes: Sequence[Any], prefix: str = "") -> dict[str, Any]:
    """Metrics, confusion matrix, calibration and, of sampled answers, the shot noise, behind `prefix`."""
    probabilities, labels = answers.probabilities, answers.labels
    record: dict[str, Any] = measure(probabilities, labels).to_mapping(prefix)
    record[_count_name(prefix)] = record.pop(f"{prefix}n")
    counts = confusion(probabilities, labels)
    record[f"{prefix}confusion"] = record_confusion(counts)
    record[f"{prefix}per_class"] = measure_classes(counts, classes)
    record[f"{prefix}reliability"] = reliability(probabilities, labels)
    if answers.noise is not None:
        record[f"{prefix}shot_noise"] = asdict(answers.noise)
    return record


def measure_model(
    model: nn.Module, part: Labelled, classes: Sequence[Any], batch_size: int, prefix: str = ""
) -> dict[str, Any]:
    """What `measure_answers` gives of what a model says of a part of the data."""
    return measure_answers(ask_model(model, part, batch_size), classes, prefix)


def measure_part(
    data: TaskData, model: nn.Module, rows: Rows, config: TrainingConfig, prefix: str = ""
) -> dict[str, Any]:
    """What the task measures on a part of the data; with classes as `measure_model`."""
    if data.classes:
        assert isinstance(rows, Labelled)
        return measure_model(model, rows, data.classes, config.batch_size, prefix)
    batch = prediction_batch(model, len(rows), config.batch_size)
    measured = data.objective(config, rows).measure(model, rows, batch).to_mapping(prefix)
    return {**measured, _count_name(prefix): len(rows)}


def diagnose_run(
    outcome: Outcome, measured: Mapping[str, Any], classes: Sequence[object], patience: int
) -> list[str]:
    """What is wrong with a training as far as it tells, each in one line; nothing for a healthy one.

    `measured` is what `measure_part` gave for validation and test.
    """
    truth, predicted = _answers(measured, len(classes)) if classes else ([], [])
    stopped = 0 < patience <= len(outcome.history) - outcome.best_epoch
    found = diagnose(outcome.history, predicted, classes, truth=truth, stopped_early=stopped)
    return list(map(str, found))


def _answers(measured: Mapping[str, Any], n_classes: int) -> tuple[list[int], list[int]]:
    """True and predicted classes on validation and test, each sorted."""
    parts = ("validation_confusion", "confusion")
    counts = sum(read_confusion(measured[name], n_classes) for name in parts)
    each = np.arange(n_classes)
    truth, predicted = (np.repeat(each, np.sum(counts, axis=axis)).tolist() for axis in (1, 0))
    return truth, predicted


def _count_name(prefix: str) -> str:
    """What a record calls the number of rows that were measured."""
    return f"n_{prefix.rstrip('_') or 'test'}"
