"""The table of sections: each takes one kind of record and gives blocks, none where nothing was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hybridqies.report.html.measurements import (
    CompressionRecord,
    DiagnosisRecord,
    EnergyRecord,
    LanguageRecord,
    ScalingRecord,
)
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import RunRecord, StudyRecord
from hybridqies.report.html.sections.calibration import (
    draw_calibration,
    draw_study_calibration,
    has_probabilities,
)
from hybridqies.report.html.sections.cells import compare_cells, draw_differences, draw_metric
from hybridqies.report.html.sections.circuits import draw_circuits, draw_study_circuits, has_circuits
from hybridqies.report.html.sections.comparison import compare_heads
from hybridqies.report.html.sections.confusion import show_confusion
from hybridqies.report.html.sections.cost import count_cost
from hybridqies.report.html.sections.diagnosis import (
    draw_entanglement,
    draw_expressibility,
    draw_trainability,
)
from hybridqies.report.html.sections.effects import draw_effects
from hybridqies.report.html.sections.energy import draw_energies
from hybridqies.report.html.sections.learning import draw_learning
from hybridqies.report.html.sections.mistakes import list_mistakes
from hybridqies.report.html.sections.models import (
    compare_compressed,
    compare_sizes,
    describe_language,
    profile_layers,
    repeat_scaling,
)
from hybridqies.report.html.sections.reproduce import repeat_run, repeat_study
from hybridqies.report.html.sections.run_diagnosis import draw_run_entanglement, draw_run_trainability
from hybridqies.report.html.sections.trials import draw_cost, list_trials, sum_confusion


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the report.

    `needs` says in words what it shows, where its absence is worth a line; `concerns` whether a record could
    have it.
    """

    name: str
    title: str
    record: type
    make: Callable[[Any], Iterable[Block]]
    needs: str = ""
    concerns: Callable[[Any], bool] = lambda _record: True


_DIAGNOSIS = "what hybridqies diagnose records, given the folder of the run"


def _can_be_diagnosed(run: RunRecord) -> bool:
    return run.can_be_diagnosed


SECTIONS = (
    Section("comparison", "Comparison", RunRecord, compare_heads),
    Section("learning", "Learning curves", RunRecord, draw_learning),
    Section("confusion", "Which class was taken for which", RunRecord, show_confusion),
    Section("calibration", "Calibration", RunRecord, draw_calibration, needs="test probabilities"),
    Section("mistakes", "Misclassified texts", RunRecord, list_mistakes, needs="the rows that were wrong"),
    Section(
        "entanglement",
        "Entanglement",
        RunRecord,
        draw_run_entanglement,
        needs=_DIAGNOSIS,
        concerns=_can_be_diagnosed,
    ),
    Section(
        "trainability",
        "Trainability",
        RunRecord,
        draw_run_trainability,
        needs=_DIAGNOSIS,
        concerns=_can_be_diagnosed,
    ),
    Section("cost", "Cost", RunRecord, count_cost),
    Section("circuits", "Circuits", RunRecord, draw_circuits),
    Section("reproduce", "Reproduce it", RunRecord, repeat_run),
    Section("comparison", "Comparison", StudyRecord, compare_cells),
    Section("metric", "Every model", StudyRecord, draw_metric),
    Section("differences", "Differences to the reference", StudyRecord, draw_differences),
    Section("effects", "Main effects", StudyRecord, draw_effects),
    Section("confusion", "Which class was taken for which", StudyRecord, sum_confusion),
    Section(
        "calibration",
        "Calibration",
        StudyRecord,
        draw_study_calibration,
        needs="bins of confidence, which trials of earlier versions did not record",
        concerns=has_probabilities,
    ),
    Section("cost", "Cost", StudyRecord, draw_cost),
    Section(
        "circuits",
        "Circuits",
        StudyRecord,
        draw_study_circuits,
        needs="the width of what heads read, which trials of earlier versions did not record",
        concerns=has_circuits,
    ),
    Section("trials", "Every trial", StudyRecord, list_trials),
    Section("reproduce", "Reproduce it", StudyRecord, repeat_study),
    Section("trainability", "Trainability", DiagnosisRecord, draw_trainability),
    Section("expressibility", "Expressibility", DiagnosisRecord, draw_expressibility),
    Section("entanglement", "Entanglement", DiagnosisRecord, draw_entanglement),
    Section("energy", "Energy", EnergyRecord, draw_energies),
    Section("compression", "Comparison", CompressionRecord, compare_compressed),
    Section("profile", "What each layer bears", CompressionRecord, profile_layers),
    Section("scaling", "Loss against size", ScalingRecord, compare_sizes),
    Section("reproduce", "Reproduce it", ScalingRecord, repeat_scaling),
    Section("language", "Figures", LanguageRecord, describe_language),
)
