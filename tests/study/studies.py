"""What tests of studies share: a small table of numbers in the place of embedded texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hybridqies.heads import Head
from hybridqies.study.context import TrialContext
from hybridqies.study.kinds.sweep import SweepPlan
from hybridqies.study.layout import prepare_trial
from hybridqies.study.trials.trial import Trial
from hybridqies.tasks import DataOptions, ModelSpec, Splits
from hybridqies.tasks.feature_classification import FeatureData
from hybridqies.training import TrainingConfig

OPTIONS = DataOptions("rows", per_class=30, validation_fraction=0.3)
QUICK: dict[str, Any] = {"epochs": 6, "learning_rate": 0.02, "batch_size": 16}


def rows(n: int = 160, columns: int = 6, seed: int = 0, n_classes: int = 2) -> TrialContext:
    """Labels that the first two columns tell, with noise; the last column is always 0."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    features = draw.standard_normal((n, columns)).astype(np.float32)
    features[:, :2] += (2 * labels[:, None] - 1) * 0.6
    features[:, -1] = 0
    return TrialContext(FeatureData("rows", torch.from_numpy(features), labels.tolist(), OPTIONS))


def plan_of(**changes: Any) -> SweepPlan:
    """A plan that takes a second."""
    base: dict[str, Any] = {
        "arms": ("two-module", "matched-mlp", "logistic"),
        "qubits": (2, 3),
        "seeds": (0, 1),
        "data": OPTIONS,
        "training": QUICK,
        "options": {"two-module": {"encoders": 1, "encoder.layers": 1}},
    }
    return SweepPlan(**base | changes)


def parts_of(context: TrialContext, seed: int) -> Splits[Any]:
    """The rows of a seed's parts."""
    drawn = context.data.draw(seed)
    return drawn.map(lambda part: context.data.rows(part, ModelSpec()))


def head_of(trial: Trial, context: TrialContext, options: dict[str, Any] | None = None) -> Head:
    """The head of a trial as training starts with it."""
    return prepare_trial(trial, context, options).arm.head


def training_of(trial: Trial, context: TrialContext, options: dict[str, Any] | None = None) -> TrainingConfig:
    """How a trial is trained."""
    return prepare_trial(trial, context, options).config.training
