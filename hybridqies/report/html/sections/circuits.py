"""The circuits of a run or of a study's models, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridqies.circuit import Circuit, draw_figure
from hybridqies.circuit.draw import MAX_QUBITS, summary
from hybridqies.errors import InputError
from hybridqies.report.html.blocks import Listing, Paragraph, Picture
from hybridqies.report.html.plots import Block
from hybridqies.report.html.records import RunRecord, StudyRecord
from hybridqies.report.html.sections.trials import labels_of
from hybridqies.study.layout import rebuild_circuits
from hybridqies.study.trials.trial import Trial, TrialRecord

_MOST_GATES = 1000
"""Gates in all drawings of a study: each takes about 2 kB of the page."""
_WIDEST = 12
"""Qubits up to which heads of a study are built: some hold matrices with a row for each amplitude."""


def draw_circuits(run: RunRecord) -> Iterator[Picture]:
    """A drawing of each circuit that is not too wide for one."""
    for role, circuit in run.circuits.items():
        if circuit.n_qubits <= MAX_QUBITS:
            yield _picture(f"drawing-{role}", summary(circuit), role, circuit)


def draw_study_circuits(study: StudyRecord) -> Iterator[Block]:
    """The smallest and the largest circuits of each model; equal ones once."""
    found, failed = _collect(study)
    if not found and not failed:
        return
    yield Paragraph(
        "Of each model the smallest and the largest circuits, with the options that it had before any search."
    )
    drawn, gates, left_out = set[str](), 0, list(failed)
    for number, (label, role, circuit) in enumerate(found, 1):
        key = str(circuit.to_mapping())
        if key in drawn:
            continue
        drawn.add(key)
        gates += len(circuit.gates)
        if gates > _MOST_GATES and len(drawn) > 1:
            gates -= len(circuit.gates)
            left_out.append(f"{label}: {role} {summary(circuit)}; not drawn, as drawings would grow large.")
        else:
            yield _picture(f"drawing-{number}", f"{label}: {role} {circuit.name}", role, circuit)
    if left_out:
        yield Listing(tuple(left_out))


def has_circuits(study: StudyRecord) -> bool:
    """Whether a trial of the study ran a circuit."""
    return any(trial.trial.get("circuits") for trial in study.trials)


@dataclass(frozen=True, slots=True)
class _Built:
    """The circuits of one design, by role."""

    label: str
    circuits: Mapping[str, Circuit]

    @property
    def size(self) -> int:
        """All gates."""
        return sum(len(circuit.gates) for circuit in self.circuits.values())


def _collect(study: StudyRecord) -> tuple[list[tuple[str, str, Circuit]], list[str]]:
    """Label, role and circuit of what is to be drawn; and in words what could not be built."""
    found, failed = [], []
    for group, trials in _groups(study).items():
        ends = _ends(trials)
        if not ends:
            failed.append(f"{group}: circuits of more than {_WIDEST} qubits are not drawn.")
            continue
        chosen = []
        for record in ends:
            try:
                trial = Trial.from_mapping(record.trial)
                circuits = rebuild_circuits(trial, record.n_inputs, max(1, len(study.result["classes"])))
            except InputError as error:
                failed.append(f"{group}: not drawn: {error}")
                continue
            qubits = "" if trial.n_qubits is None or study.kind != "sweep" else f", {trial.n_qubits} qubits"
            chosen.append(_Built(f"{group}{qubits}", circuits))
        if chosen:
            least, most = min(chosen, key=lambda each: each.size), max(chosen, key=lambda each: each.size)
            for built in (least, most) if most.size > least.size else (least,):
                found += [(built.label, role, circuit) for role, circuit in built.circuits.items()]
    return found, list(dict.fromkeys(failed))


def _groups(study: StudyRecord) -> dict[str, list[TrialRecord]]:
    """Trials of different circuits by model: by arm, or in an ablation by variant."""
    labels = labels_of(study)
    groups: dict[str, dict[str, TrialRecord]] = {}
    for trial in study.trials:
        digest = trial.trial.get("circuits")
        if digest and trial.n_inputs:
            group = labels[trial.key] if study.kind == "ablate" else str(trial.trial["arm"])
            groups.setdefault(group, {}).setdefault(digest, trial)
    return {group: list(members.values()) for group, members in groups.items()}


def _ends(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those of the fewest and of the most qubits that are built; in a screen these are all alike."""
    sizes: dict[int, list[TrialRecord]] = {}
    for trial in trials:
        if _qubits(trial.trial) <= _WIDEST:
            sizes.setdefault(_qubits(trial.trial), []).append(trial)
    return [trial for size in sorted({min(sizes), max(sizes)}) for trial in sizes[size]] if sizes else []


def _qubits(trial: Mapping[str, Any]) -> int:
    return int(trial["n_qubits"] or 0)


def _picture(name: str, caption: str, role: str, circuit: Circuit) -> Picture:
    text = f"Drawing of the {role}: {summary(circuit)}"
    return Picture(name, caption, text, draw_figure(circuit))
