"""What the package's scikit-learn estimators share: their options, and what they warn of."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from torch import nn

from hybridqies.backends import QuantumLayer, RemoteBackend
from hybridqies.circuit import Circuit
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads import head_options
from hybridqies.options import from_mapping
from hybridqies.tasks import ModelSpec
from hybridqies.training import (
    Labelled,
    Outcome,
    TrainingConfig,
    TrainingWarning,
    diagnose,
    predict_probabilities,
    prediction_batch,
)
from hybridqies.tuning.spec import read_tuning, split_settings


class NotFittedError(InputError, SklearnNotFittedError):  # type: ignore[misc]
    """An estimator was asked for something before it was fitted."""


def split_options(
    head: str,
    circuit: str | Path | Circuit | None,
    n_qubits: int | None,
    options: Mapping[str, Any],
    *,
    tune: str | None = None,
) -> tuple[ModelSpec, TrainingConfig]:
    """The model and the training that an estimator's options mean; nothing is built.

    Options of training go by their names (`epochs`, `rates__readout` or `rates={"readout": 0.01}`), those of
    tuning begin with `tune__`; all others are the head's.

    Raises
    ------
    UnknownNameError: a head, circuit or option that does not exist.
    InputError: options that contradict each other.
    """
    tuned, others = split_settings(options)
    known = {each.name for each in fields(TrainingConfig)}
    training = {name: value for name, value in others.items() if name.split("__")[0] in known}
    settings = {name: value for name, value in others.items() if name not in training}
    named = str(circuit) if isinstance(circuit, Path) else circuit
    spec = ModelSpec(head, named, n_qubits, settings, tuning=read_tuning(tune, tuned))
    try:
        head_options(head, settings, named, n_qubits)
    except UnknownNameError as error:
        raise UnknownNameError(error.kind, error.given, {*error.known, *known}) from None
    dotted = {name.replace("__", "."): value for name, value in training.items()}
    return spec, from_mapping(TrainingConfig, dotted, what="training option")


def warn_of(
    outcome: Outcome,
    model: nn.Module,
    rows: Labelled,
    classes: Sequence[Any],
    config: TrainingConfig,
    category: type[Warning] = TrainingWarning,
) -> None:
    """Warns of what is wrong with a training, once for each verdict; `rows` are what it is judged on.

    Nothing is predicted where predicting may cost money.
    """
    predicted: list[int] = []
    layers = [part for part in model.modules() if isinstance(part, QuantumLayer)]
    if not any(isinstance(layer.backend, RemoteBackend) for layer in layers):
        batch = prediction_batch(model, len(rows), config.batch_size)
        predicted = predict_probabilities(model, rows.inputs, batch).argmax(axis=1).tolist()
    stopped = 0 < config.patience <= len(outcome.history) - outcome.best_epoch
    for verdict in diagnose(
        outcome.history, predicted, classes, truth=rows.labels.tolist(), stopped_early=stopped
    ):
        warnings.warn(str(verdict), category, stacklevel=3)
