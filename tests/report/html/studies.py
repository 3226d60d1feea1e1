"""Studies to report on: made-up trials, summarised as a study summarises its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hybridqies.records import write_record
from hybridqies.report.html.records import StudyRecord
from hybridqies.study.arms import arm_of
from hybridqies.study.kinds import STUDIES
from hybridqies.study.kinds.screen import ScreenPlan, design_of
from hybridqies.study.kinds.sweep import SweepPlan
from hybridqies.study.plan import StudyPlan
from hybridqies.study.plan_file import plan_to_toml
from hybridqies.study.trials.journal import JournalState, TrialJournal
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.tasks import DataOptions

N_TEST = 200


def make_sweep(
    arms: tuple[str, ...] = ("logistic", "two-module", "dressed"),
    qubits: tuple[int, ...] = (2, 4),
    n_seeds: int = 3,
    classes: tuple[Any, ...] = ("bad", "good"),
    n_test: int = N_TEST,
) -> StudyRecord:
    """A sweep whose arm number `a` is right on 60 + 5 a %, give or take."""
    plan = SweepPlan(arms=arms, qubits=qubits, seeds=tuple(range(n_seeds)), reference=arms[0])
    places = [
        (arm, n)
        for arm in arms
        for n in (qubits if arm.partition(":")[0] in ("two-module", "dressed") else (None,))
    ]
    planned = [_trial(arm, n, seed) for seed in plan.seeds for arm, n in places]
    records = {
        trial.key: _record(trial, 0.6 + 0.05 * arms.index(trial.arm), len(classes), n_test)
        for trial in planned
    }
    return _study(plan, planned, records, classes, n_test)


def write_study(study: StudyRecord, folder: Path) -> None:
    """The folder that such a study would have left."""
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(study.plan, encoding="utf-8")
    with TrialJournal(folder) as journal:
        texts: dict[str, list[int]] = {str(seed): [] for seed in study.result["plan"]["seeds"]}
        journal.begin({"data": study.result["data"], "test_texts": texts})
        for trial in study.trials:
            journal.claim(trial.key)
            journal.settle(trial)
    write_record(folder / "study.json", study.result)


def make_screen() -> StudyRecord:
    """A screen in which the first factor alone does something."""
    factors = {"layers": [1, 2], "reuploads": [1, 3], "training.learning_rate": [0.001, 0.01]}
    plan = ScreenPlan(arms=("two-module",), qubits=(4,), seeds=(0, 1, 2), factors=factors)
    runs = design_of(plan).settings()
    planned, records = [], {}
    for seed in plan.seeds:
        for levels in runs:
            trial = _trial("two-module", 4, seed, levels, tested=False)
            planned.append(trial)
            records[trial.key] = _record(trial, 0.6 if levels["layers"] == 1 else 0.9, 2)
    return _study(plan, planned, records, ("bad", "good"))


def _study(
    plan: StudyPlan,
    planned: list[Trial],
    records: dict[str, TrialRecord],
    classes: tuple[Any, ...],
    n_test: int = N_TEST,
) -> StudyRecord:
    texts = {str(seed): list(range(n_test)) for seed in plan.seeds}
    about = {"data": "films", "classes": list(classes), "test_texts": texts}
    result = STUDIES[plan.kind].summarise(plan, planned, JournalState(about, {}, records, {}))
    return StudyRecord(Path("runs/films"), result, plan_to_toml(plan), tuple(records.values()))


def _trial(
    arm: str, n_qubits: int | None, seed: int, settings: dict[str, Any] | None = None, *, tested: bool = True
) -> Trial:
    found = arm_of(arm)
    return Trial(
        arm=arm,
        head=found.head,
        seed=seed,
        data=DataOptions(),
        data_fingerprint="d",
        encoder="e",
        encoder_fingerprint="e",
        scaling="none",
        backend="statevector",
        task="text-classification",
        n_qubits=n_qubits,
        settings={**found.options, **(settings or {})},
        tested=tested,
    )


def _record(trial: Trial, right: float, n_classes: int, n_test: int = N_TEST) -> TrialRecord:
    random = np.random.default_rng([trial.seed, trial.n_qubits or 0, int(trial.key[:6], 16)])
    truth = random.integers(0, n_classes, n_test)
    hit = random.random(n_test) < right
    predicted = np.where(hit, truth, (truth + 1) % n_classes)
    accuracy = float((truth == predicted).mean())
    measured = {"accuracy": accuracy, "macro_f1": accuracy}
    return TrialRecord(
        key=trial.key,
        trial=trial.to_mapping(),
        chosen={},
        candidates=(),
        validation={"accuracy": right + 0.001 * trial.seed + 0.002 * random.random(), "macro_f1": right},
        test=measured if trial.tested else {},
        predictions=tuple(predicted.tolist()) if trial.tested else (),
        truth=tuple(truth.tolist()) if trial.tested else (),
        n_parameters=100 + 10 * (trial.n_qubits or 0),
        converged=True,
        convergence="",
        seconds=2.0,
    )
