"""Tasks: what is learned and how it is measured. A new one is a file beside this and a row here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hybridqies.errors import UnknownNameError
from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.tasks.base import Splits, Task, TaskData
    from hybridqies.tasks.building import build_head_of, digest_circuits, runs_circuit, tuning_of
    from hybridqies.tasks.metric import Metric
    from hybridqies.tasks.specs import DataOptions, ModelSpec

TASKS: dict[str, str] = {
    "text-classification": "hybridqies.tasks.text_classification:TextClassification",
    "sparse-parity": "hybridqies.tasks.sparse_parity:SparseParity",
    "radiation-events": "hybridqies.tasks.radiation_events:RadiationEvents",
}
DEFAULT_TASK = "text-classification"


def load_task(name: str) -> Task:
    """The task of that name.

    Raises
    ------
    UnknownNameError: no task has that name; the nearest is offered.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    module, _, attribute = TASKS[name].partition(":")
    task: Task = getattr(importlib.import_module(module), attribute)()
    return task


__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "DataOptions",
    "Metric",
    "ModelSpec",
    "Splits",
    "Task",
    "TaskData",
    "build_head_of",
    "digest_circuits",
    "load_task",
    "runs_circuit",
    "tuning_of",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("specs", "metric", "base", "building"))
