"""Training: configuration, the trainer, checkpoints and metrics."""

from hybridqies.training.config import ClassWeights, Schedule, SelectOn, TrainingConfig
from hybridqies.training.metrics import Metrics, calibration_error, confusion, measure
from hybridqies.training.shots import ShotNoise, is_sampled, probabilities_with_noise
from hybridqies.training.stacked import Training, train_stack, why_alone
from hybridqies.training.trainer import Labelled, Outcome, evaluate, predict_probabilities, train

__all__ = [
    "ClassWeights",
    "Labelled",
    "Metrics",
    "Outcome",
    "Schedule",
    "SelectOn",
    "ShotNoise",
    "Training",
    "TrainingConfig",
    "calibration_error",
    "confusion",
    "evaluate",
    "is_sampled",
    "measure",
    "predict_probabilities",
    "probabilities_with_noise",
    "train",
    "train_stack",
    "why_alone",
]
