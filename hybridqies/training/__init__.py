"""Training: configuration, the loop, objectives, checkpoints, metrics and verdicts."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.training.compilation import stopwatch, watch_kernels
    from hybridqies.training.config import (
        ClassWeights,
        Compute,
        Precision,
        Rates,
        Schedule,
        SelectOn,
        TrainingConfig,
    )
    from hybridqies.training.confusion_matrix import (
        confusion,
        measure_classes,
        read_confusion,
        record_confusion,
    )
    from hybridqies.training.diagnosis import Convergence, TrainingWarning, Verdict, diagnose
    from hybridqies.training.distillation import Distillation, relative_distances
    from hybridqies.training.distributed import Ranks, choose_gpu, join_processes
    from hybridqies.training.loop import fit
    from hybridqies.training.metrics import Metrics, calibration_error, measure, reliability
    from hybridqies.training.next_token import (
        NextToken,
        TokenMetrics,
        TokenStream,
        Windows,
        next_token_losses,
        token_losses,
    )
    from hybridqies.training.objectives import CrossEntropy, Measurement, Objective
    from hybridqies.training.prediction import predict_probabilities, prediction_batch
    from hybridqies.training.progress import Outcome
    from hybridqies.training.rows import Batch, ChangingRows, Inputs, Labelled, Rows
    from hybridqies.training.shots import ShotNoise, is_sampled, probabilities_with_noise
    from hybridqies.training.stacked import Training, fit_many, why_alone

__all__ = [
    "Batch",
    "ChangingRows",
    "ClassWeights",
    "Compute",
    "Convergence",
    "CrossEntropy",
    "Distillation",
    "Inputs",
    "Labelled",
    "Measurement",
    "Metrics",
    "NextToken",
    "Objective",
    "Outcome",
    "Precision",
    "Ranks",
    "Rates",
    "Rows",
    "Schedule",
    "SelectOn",
    "ShotNoise",
    "TokenMetrics",
    "TokenStream",
    "Training",
    "TrainingConfig",
    "TrainingWarning",
    "Verdict",
    "Windows",
    "calibration_error",
    "choose_gpu",
    "confusion",
    "diagnose",
    "fit",
    "fit_many",
    "is_sampled",
    "join_processes",
    "measure",
    "measure_classes",
    "next_token_losses",
    "predict_probabilities",
    "prediction_batch",
    "probabilities_with_noise",
    "read_confusion",
    "record_confusion",
    "relative_distances",
    "reliability",
    "stopwatch",
    "token_losses",
    "watch_kernels",
    "why_alone",
]

__getattr__, __dir__ = import_lazily(
    __name__,
    __all__,
    (
        "config",
        "compilation",
        "confusion_matrix",
        "diagnosis",
        "distillation",
        "distributed",
        "loop",
        "metrics",
        "next_token",
        "objectives",
        "prediction",
        "progress",
        "rows",
        "shots",
        "stacked",
    ),
)
