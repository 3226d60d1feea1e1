"""Runs: one model trained, evaluated or asked for predictions, everything recorded in a folder."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.runs.config import DataOptions, RunConfig
    from hybridqies.runs.dry_run import check_limits, plan_evaluation, plan_prediction, plan_training
    from hybridqies.runs.evaluation import evaluate_run, predict_run
    from hybridqies.runs.execution import (
        Hooks,
        check,
        execute,
        load_splits,
        recorded_config,
        start_run,
    )

__all__ = [
    "DataOptions",
    "Hooks",
    "RunConfig",
    "check",
    "check_limits",
    "evaluate_run",
    "execute",
    "load_splits",
    "plan_evaluation",
    "plan_prediction",
    "plan_training",
    "predict_run",
    "recorded_config",
    "start_run",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("config", "evaluation", "dry_run", "execution"))
