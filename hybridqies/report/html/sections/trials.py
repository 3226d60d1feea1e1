"""Every trial of a study."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hybridqies.report.html.blocks import Group, Table
from hybridqies.report.html.plots import Axis, Block, Plot, Series, Shape
from hybridqies.report.html.records import StudyRecord, best_cell, label_of
from hybridqies.report.html.sections.confusion import count_table
from hybridqies.study.kinds.ablate import MODULES
from hybridqies.study.trials.trial import TrialRecord

_MATRICES = 40


def list_trials(study: StudyRecord) -> Iterator[Table]:
    """One row a trial, folded: what it was, what it measured, how long it took."""
    metric, labels = study.metric, labels_of(study)
    tested = any(trial.test for trial in study.trials)
    headings = ["model", "seed", "trained parameters", f"validation {metric.label}"]
    headings += [f"test {metric.label}"] if tested else []
    rows = []
    for trial in sorted(study.trials, key=lambda each: (labels[each.key], each.trial["seed"])):
        measured = [trial.validation, *([trial.test] if tested else [])]
        rows.append(
            (
                labels[trial.key],
                str(trial.trial["seed"]),
                f"{trial.n_parameters:,}",
                *(metric.write(part[metric.name]) for part in measured),
                f"{trial.seconds:.1f}",
                "yes" if trial.converged else "no",
                json.dumps(trial.chosen) if trial.chosen else "",
            )
        )
    headings += ["seconds", "converged", "chosen by validation"]
    numeric = (False, *(True for _ in headings[1:-2]), False, False)
    title = f"All {len(rows):,} trials"
    yield Table("trials", title, tuple(headings), tuple(rows), numeric, folded=True)


def sum_confusion(study: StudyRecord) -> Iterator[Block]:
    """The confusion of each model, summed over seeds; that of the best is open, 40 at most."""
    classes, best = study.result["classes"], best_cell(study.result)
    if not classes or best is None:
        return
    labels, found = labels_of(study), defaultdict(list)
    for trial in study.trials:
        if trial.predictions:
            found[labels[trial.key]].append(trial)
    order = [label_of(best), *(label for label in found if label != label_of(best))]
    tables = []
    for number, label in enumerate(order[:_MATRICES], 1):
        counts = np.sum([_count(trial, len(classes)) for trial in found[label]], axis=0)
        tables.append(count_table(f"confusion-{number}", f"{label}, all seeds", classes, counts))
    yield tables[0]
    if len(tables) > 1:
        left_out = f", of {len(order) - 1}" if len(order) > len(tables) else ""
        yield Group(f"{len(tables) - 1} other models{left_out}", tuple(tables[1:]))


def draw_cost(study: StudyRecord) -> Iterator[Block]:
    """Accuracy against trained parameters and seconds, a point for each model."""
    metric = study.metric
    cells = [cell for cell in study.result["cells"] if cell.get(metric.name) and cell["n_parameters"]]
    if not cells:
        return
    label = metric.name_with_unit("mean test")
    means = tuple(metric.scale * cell[metric.name]["mean"] for cell in cells)
    notes = tuple(map(label_of, cells))
    measures = (
        ("parameters", "trained parameters", [float(cell["n_parameters"][-1]) for cell in cells]),
        ("seconds", "seconds of a trial, mean over seeds", [cell["seconds"]["mean"] for cell in cells]),
    )
    for name, along, values in measures:
        series = Series("models", tuple(values), means, shape=Shape.DOTS, notes=notes)
        text = f"A dot for each model: {label} over {along}."
        caption = f"{label[0].upper()}{label[1:]} against {along}"
        yield Plot(name, caption, text, Axis(along, log=True), Axis(label), (series,))


def _count(trial: TrialRecord, k: int) -> Any:
    cells = np.asarray(trial.truth) * k + np.asarray(trial.predictions)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def labels_of(study: StudyRecord) -> dict[str, str]:
    """The label of its cell for each trial."""
    cells = defaultdict(list)
    for cell in study.result["cells"]:
        cells[_design_of_cell(study, cell)].append(cell)
    return {trial.key: _label(study, trial, cells[_design_of(study, trial.trial)]) for trial in study.trials}


def _label(study: StudyRecord, trial: TrialRecord, cells: Sequence[Mapping[str, Any]]) -> str:
    """Of runs of a screen that differ in their backend alone, the one with the trial's own response."""
    if study.kind == "screen":
        measured, seed = trial.validation[study.metric.name], str(trial.trial["seed"])
        cells = [cell for cell in cells if cell["responses"].get(seed) == measured]
    return label_of(cells[0]) if cells else str(trial.trial["arm"])


def _design_of(study: StudyRecord, trial: Mapping[str, Any]) -> str:
    n_qubits = None if study.kind == "screen" else trial["n_qubits"]
    return _design(trial["arm"], n_qubits, trial["settings"], trial["frozen"])


def _design_of_cell(study: StudyRecord, cell: Mapping[str, Any]) -> str:
    plan, module = study.result["plan"], cell.get("module")
    frozen = MODULES[module].frozen if module else ()
    if study.kind == "sweep":
        return _design(cell["arm"], cell["n_qubits"], cell["settings"], frozen)
    n_qubits = None if study.kind == "screen" else plan["qubits"][0]
    return _design(plan["arms"][0], n_qubits, cell["settings"], frozen)


def _design(arm: str, n_qubits: int | None, settings: Mapping[str, Any], frozen: Sequence[str]) -> str:
    return json.dumps([arm, n_qubits, settings, list(frozen)], sort_keys=True)
