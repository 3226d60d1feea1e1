"""Experiments: one protocol for every arm, recorded in run folders."""

from hybridqies.study.config import DataOptions, RunConfig
from hybridqies.study.evaluation import evaluate_run, plan_evaluation
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
    "evaluate_run",
    "execute",
    "load_splits",
    "plan_evaluation",
    "recorded_config",
    "start_run",
]
