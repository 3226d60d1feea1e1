"""Training: configuration, the trainer, checkpoints and metrics."""

from hybridqies.training.config import ClassWeights, Schedule, SelectOn, TrainingConfig
from hybridqies.training.metrics import Metrics, calibration_error, confusion, measure
from hybridqies.training.trainer import Labelled, Outcome, evaluate, predict_probabilities, train

__all__ = [
    "ClassWeights",
    "Labelled",
    "Metrics",
    "Outcome",
    "Schedule",
    "SelectOn",
    "TrainingConfig",
    "calibration_error",
    "confusion",
    "evaluate",
    "measure",
    "predict_probabilities",
    "train",
]
