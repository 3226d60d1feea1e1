"""Experiments: one protocol for every arm, recorded in run folders."""

from hybridqies.study.config import DataOptions, RunConfig
from hybridqies.study.evaluation import evaluate_run, predict_run
from hybridqies.study.planning import check_limits, plan_evaluation, plan_prediction, plan_training
from hybridqies.study.run import (
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
