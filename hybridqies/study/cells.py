"""A cell of a study: the trials that differ in their seed alone, and what their records show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridqies import __version__
from hybridqies.options import to_mapping
from hybridqies.study.head_plan import HeadPlan
from hybridqies.study.statistics.comparisons import ArmResults, Marked
from hybridqies.study.statistics.intervals import spread
from hybridqies.study.trials.journal import StudyState
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.tasks import Metric, load_task
from hybridqies.versions import collect_versions


@dataclass(frozen=True, slots=True)
class Cell:
    """Trials that differ in their seed alone, under one label."""

    label: str
    trials: tuple[Trial, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the task measures; cells are compared by the first."""
        return load_task(self.trials[0].task).metrics

    def records(self, state: StudyState) -> dict[int, TrialRecord]:
        """What came of it, by seed."""
        return {trial.seed: state.records[trial.key] for trial in self.trials if trial.key in state.records}

    def trained(self, state: StudyState) -> dict[str, Any]:
        """What training shows, as JSON values; the test set has no part in it."""
        records, name = self.records(state), self.metrics[0].name
        return {
            "label": self.label,
            "settings": self.trials[0].settings,
            f"validation_{name}": spread_of(record.validation[name] for record in records.values()),
            "n_parameters": sorted({record.n_parameters for record in records.values()}),
            "chosen": {str(seed): record.chosen for seed, record in records.items()},
            "converged": {str(seed): record.converged for seed, record in records.items()},
            "seconds": spread_of(record.seconds for record in records.values()),
            "errors": {
                str(trial.seed): state.failures[trial.key].error
                for trial in self.trials
                if trial.key in state.failures
            },
        }

    def tested(self, state: StudyState) -> dict[str, Any]:
        """What the test set shows, as JSON values."""
        records, first = self.records(state), self.metrics[0]
        return {
            first.plural: {str(seed): record.test[first.name] for seed, record in records.items()},
            **{
                each.name: spread_of(record.test[each.name] for record in records.values())
                for each in self.metrics
            },
        }

    def results(self, state: StudyState) -> ArmResults:
        """What it is compared by; a task without classes has no right and wrong answers to mark."""
        records, texts = self.records(state), _texts(state)
        return ArmResults(
            self.label,
            self.trials[0].budget,
            {seed: record.test[self.metrics[0].name] for seed, record in records.items()},
            {
                seed: Marked(texts[seed], np.equal(record.predictions, record.truth))
                for seed, record in records.items()
                if record.predictions
            },
        )


def overview(plan: HeadPlan, planned: Sequence[Trial], state: StudyState) -> dict[str, Any]:
    """What every result begins with: the plan, the data, and how many trials finished."""
    about = state.about or {}
    return {
        "kind": plan.kind,
        "plan": plan.to_mapping(),
        "metric": to_mapping(load_task(plan.task).metrics[0]),
        "data": about["data"],
        "classes": about["classes"],
        "n_test": {seed: len(texts) for seed, texts in about["test_texts"].items()},
        "trials": len(planned),
        "done": sum(trial.key in state.records for trial in planned),
        "failed": sum(trial.key in state.failures for trial in planned),
        "hybridqies": __version__,
        "versions": collect_versions(),
    }


def spread_of(values: Iterable[float]) -> dict[str, Any] | None:
    """Mean, deviation and interval as JSON values; None of nothing."""
    found = list(values)
    return to_mapping(spread(found)) if found else None


def _texts(state: StudyState) -> Mapping[int, NDArray[np.int64]]:
    about = state.about or {}
    return {int(seed): np.array(rows) for seed, rows in about["test_texts"].items()}
