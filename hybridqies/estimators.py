"""What the package's scikit-learn estimators share: their options, and what they warn of."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from torch import Tensor

from hybridqies.circuit import Circuit
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads import head_options
from hybridqies.options import from_mapping
from hybridqies.tasks import ModelSpec
from hybridqies.training import Outcome, TrainingConfig, TrainingWarning, diagnose


class NotFittedError(InputError, SklearnNotFittedError):  # type: ignore[misc]
    """An estimator was asked for something before it was fitted."""


def split_options(
    head: str,
    circuit: str | Path | Circuit | None,
    n_qubits: int | None,
    options: Mapping[str, Any],
    *,
    trainable_layers: int = 0,
) -> tuple[ModelSpec, TrainingConfig]:
    """The model and the training that an estimator's options mean; nothing is built.

    Options of training go by their names (`epochs`, `rates__readout` or `rates={"readout": 0.01}`); all
    others are the head's.

    Raises
    ------
    UnknownNameError: a head, circuit or option that does not exist.
    InputError: options that contradict each other.
    """
    known = {each.name for each in fields(TrainingConfig)}
    training = {name: value for name, value in options.items() if name.split("__")[0] in known}
    settings = {name: value for name, value in options.items() if name not in training}
    named = str(circuit) if isinstance(circuit, Path) else circuit
    spec = ModelSpec(head, named, n_qubits, settings, trainable_layers=trainable_layers)
    try:
        head_options(head, settings, named, n_qubits)
    except UnknownNameError as error:
        raise UnknownNameError(error.kind, error.given, {*error.known, *known}) from None
    dotted = {name.replace("__", "."): value for name, value in training.items()}
    return spec, from_mapping(TrainingConfig, dotted, what="training option")


def warn_of(
    outcome: Outcome,
    probabilities: np.ndarray,
    labels: Tensor,
    classes: Sequence[Any],
    config: TrainingConfig,
) -> None:
    """Warns of what is wrong with a training, once for each verdict (`TrainingWarning`)."""
    stopped = 0 < config.patience <= len(outcome.history) - outcome.best_epoch
    verdicts = diagnose(
        outcome.history,
        probabilities.argmax(axis=1).tolist(),
        classes,
        truth=labels.tolist(),
        stopped_early=stopped,
    )
    for verdict in verdicts:
        warnings.warn(str(verdict), TrainingWarning, stacklevel=3)
