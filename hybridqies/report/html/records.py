"""What a report is made from: a folder of a run or a study, read once and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridqies.circuit import Circuit
from hybridqies.errors import InputError
from hybridqies.records import read_record
from hybridqies.report.words import head_label
from hybridqies.runs import RunConfig, recorded_config
from hybridqies.runs.folder import ARMS, COMPARISON, check_files, read_result
from hybridqies.saved_model import CONFIG, read_config
from hybridqies.tasks import Metric
from hybridqies.training.history import read_history


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """A head of a run: what it measured, and its epochs."""

    result: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        """The head's name."""
        return str(self.result["head"])


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run of `hybridqies train`; its own head comes first among the arms."""

    folder: Path
    config: RunConfig
    comparison: Mapping[str, Any]
    arms: tuple[ArmRecord, ...]
    circuits: Mapping[str, Circuit]

    @property
    def title(self) -> str:
        """What kind of record this is, and of which folder."""
        return f"Run {self.folder.name}"

    @property
    def headline(self) -> str:
        """What came out, in a few words."""
        own, metric = self.arms[0].result, self.metrics[0]
        # Number and unit stay on one line.
        reached = metric.write_with_unit(own[metric.name]).replace(" ", "\N{NO-BREAK SPACE}")
        return f"{own['head']} on {own['data']}: {reached} test {metric.label}"

    @property
    def lead(self) -> str:
        """What was done and what came out, in a sentence or two."""
        own, metric = self.arms[0].result, self.metrics[0]
        reached = metric.write_with_unit(own[metric.name])
        others = ", ".join(arm.name for arm in self.arms[1:])
        beside = f" Trained beside it by the same protocol: {others}." if others else ""
        return (
            f"{head_label(own)} was trained on {own['n_train']:,} rows of {own['data']} and reached a test "
            f"{metric.label} of {reached} on {own['n_test']:,} rows.{beside}"
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What its task measures; the first is the one to compare by."""
        return tuple(Metric(**each) for each in self.comparison["metrics"])


def read_record_of(path: Path) -> RunRecord:
    """The record in the folder of a run.

    Raises
    ------
    InputError: there is none.
    ModelFolderError: it is not finished, or was damaged or altered.
    """
    folder = path.resolve()
    if (folder / CONFIG).is_file():
        return _read_run(folder)
    raise InputError(f"{str(path)!r} holds nothing to report", expected="the folder of a run")


def _read_run(folder: Path) -> RunRecord:
    config, model = recorded_config(folder), read_config(folder)["model"]
    needed = {"data": dict, "metrics": list, "results": list}
    comparison = read_record(folder / COMPARISON, needed=needed, what="comparison")
    arms = []
    for at, each in enumerate(comparison["results"]):
        home = folder / ARMS / each["head"] if at else folder
        result = read_result(home)
        check_files(home, result)
        arms.append(ArmRecord(result, read_history(home)))
    circuits = {role: Circuit.from_mapping(stored) for role, stored in model["circuits"].items()}
    return RunRecord(folder, config, comparison, tuple(arms), circuits)
