"""What a report is made from: a folder of a run or a study, read once and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridqies.circuit import Circuit
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.records import read_bytes, read_record
from hybridqies.report.studies.cells import metric_of, seeds_of, setting_of
from hybridqies.report.words import head_label
from hybridqies.runs import RunConfig, recorded_config
from hybridqies.runs.cost import COST, energy_in_words, read_cost
from hybridqies.runs.diagnosis import read_diagnosis
from hybridqies.runs.folder import ARMS, COMPARISON, check_files, read_result
from hybridqies.runs.mistakes import read_mistakes
from hybridqies.saved_model import read_config
from hybridqies.study.conduct import PLAN, RESULT
from hybridqies.study.trials.journal import TrialJournal
from hybridqies.study.trials.trial import TrialRecord
from hybridqies.tasks import Metric
from hybridqies.training.history import read_history

_NOUNS = {"sweep": "Sweep", "screen": "Screen", "ablate": "Ablation"}


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """A head of a run: what it measured, its epochs, and its mistakes and cost, if they were kept.

    `energy` says in words what was measured of it, or why nothing was.
    """

    result: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    mistakes: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    energy: str = "not measured"

    @property
    def name(self) -> str:
        """The head's name."""
        return str(self.result["head"])


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run of `hybridqies train`; its own head comes first among the arms.

    `diagnosis` is what `hybridqies diagnose` recorded of its circuits.
    """

    folder: Path
    config: RunConfig
    comparison: Mapping[str, Any]
    arms: tuple[ArmRecord, ...]
    circuits: Mapping[str, Circuit]
    diagnosis: Mapping[str, Any] | None = None

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

    @property
    def can_be_diagnosed(self) -> bool:
        """Whether it has circuits that were trained on embeddings that are still to be had."""
        trained = len(self.arms[0].history) > 1
        return bool(self.circuits) and trained and not self.config.tuning


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A finished study: its result, its plan as a file, and every trial that came to an end."""

    folder: Path
    result: Mapping[str, Any]
    plan: str
    trials: tuple[TrialRecord, ...]

    @property
    def kind(self) -> str:
        """The name of its kind, which is that of its command."""
        return str(self.result["kind"])

    @property
    def title(self) -> str:
        """What kind of record this is, and of which folder."""
        return f"{_NOUNS[self.kind]} {self.folder.name}"

    @property
    def metric(self) -> Metric:
        """What it compares by."""
        return metric_of(self.result)

    @property
    def headline(self) -> str:
        """What was compared, in a few words."""
        cells = len(self.result["cells"])
        what = {"screen": "runs of a design", "ablate": "variants"}.get(self.kind, "models")
        return f"{cells} {what} on {self.result['data']}, {seeds_of(self.result)}"

    @property
    def lead(self) -> str:
        """What was done and what came out, in a sentence or two."""
        result, metric = self.result, self.metric
        done = f"{result['done']} of {result['trials']} trials finished on {setting_of(result)}."
        best = best_cell(result)
        if best is None:
            return done
        mean = metric.write_with_unit(best[metric.name]["mean"])
        verdicts = Counter(each["verdict"] for each in result["comparisons"])
        counted = ", ".join(
            f"{verdict} ({count} of {verdicts.total()})" for verdict, count in verdicts.most_common()
        )
        tested = f" Verdicts against the reference: {counted}." if counted else ""
        return f"{done} The best mean test {metric.label} is {mean}, of {label_of(best)}.{tested}"


def best_cell(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The cell with the best mean on the test part; None where no test part was read."""
    metric = metric_of(result)
    tested = [cell for cell in result["cells"] if cell.get(metric.name) is not None]
    return max(tested, key=lambda cell: metric.orient(cell[metric.name]["mean"]), default=None)


def label_of(cell: Mapping[str, Any]) -> str:
    """A cell as plots and tables call it."""
    return str(cell["label"])


def read_study(folder: Path) -> StudyRecord:
    """The finished study in a folder.

    Raises
    ------
    InputError: it is not finished.
    ModelFolderError: its result or its plan was damaged or altered.
    """
    if not (folder / RESULT).is_file():
        raise InputError(
            f"the study in {str(folder)!r} has not finished",
            expected=RESULT,
            todo="continue it with --resume",
        )
    needed = {"kind": str, "plan": dict, "metric": dict, "cells": list, "done": int}
    todo = "restore it, or write it again by the study's command with --resume"
    result = read_record(folder / RESULT, needed=needed, what="study", todo=todo)
    with TrialJournal(folder) as journal:
        trials = tuple(journal.state().records.values())
    return StudyRecord(folder, result, read_plan_text(folder), trials)


def read_plan_text(folder: Path) -> str:
    """The plan of a study, as its file has it.

    Raises
    ------
    ModelFolderError: it is missing or no text.
    """
    try:
        return read_bytes(folder / PLAN).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderError(
            f"the plan {str(folder / PLAN)!r} cannot be read ({error})", todo="restore it"
        ) from None


def read_run(folder: Path) -> RunRecord:
    """The finished run in a folder.

    Raises
    ------
    ModelFolderError: it is not finished, or was damaged or altered.
    """
    config, model = recorded_config(folder), read_config(folder)["model"]
    needed = {"data": dict, "metrics": list, "results": list}
    comparison = read_record(folder / COMPARISON, needed=needed, what="comparison")
    arms = []
    for at, each in enumerate(comparison["results"]):
        home = folder / ARMS / each["head"] if at else folder
        result = read_result(home)
        check_files(home, result)
        cost = read_cost(home) if (home / COST).is_file() else None
        arms.append(ArmRecord(result, read_history(home), read_mistakes(home), cost, energy_in_words(home)))
    circuits = {role: Circuit.from_mapping(stored) for role, stored in model["circuits"].items()}
    return RunRecord(folder, config, comparison, tuple(arms), circuits, read_diagnosis(folder))
