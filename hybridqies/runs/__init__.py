"""Runs: one model trained, evaluated or asked for predictions, everything recorded in a folder."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.runs.assembly import Arm, PreparedRun, load_data, prepare
    from hybridqies.runs.config import DataOptions, RunConfig
    from hybridqies.runs.dry_run import check_limits, plan_evaluation, plan_prediction, plan_training
    from hybridqies.runs.evaluation import evaluate_run, predict_run, recorded_columns
    from hybridqies.runs.execution import embed_run, execute, is_finished
    from hybridqies.runs.folder import check_room, recorded_config, start_run
    from hybridqies.runs.hooks import Hooks
    from hybridqies.runs.paying import check_runs_circuit, load_run_backend
    from hybridqies.runs.tracking import Tracking, make_trackers

__all__ = [
    "Arm",
    "DataOptions",
    "Hooks",
    "PreparedRun",
    "RunConfig",
    "Tracking",
    "check_limits",
    "check_room",
    "check_runs_circuit",
    "embed_run",
    "evaluate_run",
    "execute",
    "is_finished",
    "load_data",
    "load_run_backend",
    "make_trackers",
    "plan_evaluation",
    "plan_prediction",
    "plan_training",
    "predict_run",
    "prepare",
    "recorded_columns",
    "recorded_config",
    "start_run",
]

__getattr__, __dir__ = import_lazily(
    __name__,
    __all__,
    ("config", "hooks", "paying", "folder", "assembly", "evaluation", "dry_run", "execution", "tracking"),
)
