"""Screening end to end: runs of the design are trials, known effects come back, and no test set is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study.studies import OPTIONS, QUICK, rows

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.records import read_record
from hybridqies.report.studies.screen import screen_notes, screen_table, write_screen_plot
from hybridqies.runs.config import DataOptions
from hybridqies.study import protocol
from hybridqies.study.conduct import run_study
from hybridqies.study.context import TrialContext
from hybridqies.study.kinds.screen import (
    FACTORS,
    SCREEN,
    ScreenPlan,
    TwoLevel,
    design_of,
    screen_trials,
    summarise,
)
from hybridqies.study.plan_file import plan_to_toml, read_plan
from hybridqies.study.protocol import HEAD_TRIALS, run_trial
from hybridqies.study.seal import SealedTest
from hybridqies.study.trials.journal import StudyState
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import Trial, TrialRecord

# Effects on accuracy from the low to the high level.
KNOWN = {"n_qubits": 0.08, "training.learning_rate": -0.05, "encoders": 0.04, "backend.p2": -0.06}
SMALL: dict[str, list[Any]] = {"n_qubits": [2, 3], "reuploads": [1, 2], "training.epochs": [1, 2]}


def screen_of(**changes: Any) -> ScreenPlan:
    base: dict[str, Any] = {"seeds": (0, 1), "data": OPTIONS, "factors": SMALL}
    return ScreenPlan(**base | changes)


def level_of(trial: Trial, factor: str) -> Any:
    if factor == "n_qubits":
        return trial.n_qubits
    if factor.startswith("backend."):
        given = dict(part.split("=") for part in trial.backend.split(",")[1:])
        return float(given[factor.removeprefix("backend.")])
    return trial.settings[factor]


def measured(trial: Trial) -> TrialRecord:
    """What a head would show whose accuracy is a sum of known effects, a level of the seed, and noise."""
    clean = 0.75 + sum(
        effect / 2 * (1 if level_of(trial, name) == FACTORS[name][-1] else -1)
        for name, effect in KNOWN.items()
    )
    # Not the trial's key: it holds the path of the data, which is another in every run of the tests.
    cell = json.dumps([trial.n_qubits, dict(trial.settings), trial.backend, trial.seed], sort_keys=True)
    draw = np.random.default_rng(list(cell.encode()))
    accuracy = clean + 0.02 * np.sin(trial.seed) + 0.01 * draw.standard_normal()
    validation = {"accuracy": float(accuracy), "log_loss": 0.5}
    return TrialRecord(trial.key, trial.to_mapping(), {}, (), validation, {}, (), (), 9, True, "", 1.0)


def recorded(plan: ScreenPlan, accuracy: Any) -> tuple[tuple[Trial, ...], StudyState]:
    planned = screen_trials(plan, rows())
    about = {"data": "rows", "classes": [0, 1], "test_texts": {str(seed): [0] for seed in plan.seeds}}
    records = {
        trial.key: TrialRecord(
            trial.key, trial.to_mapping(), {}, (), {"accuracy": accuracy(trial)}, {}, (), (), 9, True, "", 1.0
        )
        for trial in planned
    }
    return planned, StudyState(about, records=records)


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("design", [TwoLevel.PLACKETT_BURMAN, TwoLevel.RESOLUTION_4])
def test_known_effects_come_back(
    design: TwoLevel, reviews: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From plan to `study.json`, through journal, runner and report; only the training is made up."""
    made_up = replace(HEAD_TRIALS, attempt=lambda group, context: [measured(trial) for trial in group])
    monkeypatch.setattr(protocol, "HEAD_TRIALS", made_up)
    plan = ScreenPlan(
        data=DataOptions(str(reviews), per_class=20),
        encoder=str(tiny_encoder),
        factors={name: levels for name, levels in FACTORS.items() if name != "backend.shots"},
        design=design,
    )
    result = run_study(SCREEN, plan, tmp_path / "screen")
    assert read_record(tmp_path / "screen" / "study.json") == result
    assert result["done"] == result["trials"] == 5 * len(design_of(plan).settings())
    effects = {each["name"]: each for each in result["screening"]["effects"]}
    assert set(effects) == set(plan.factors)
    assert {name for name, each in effects.items() if each["active"]} == set(KNOWN)
    for name, each in effects.items():
        assert abs(each["value"] - KNOWN.get(name, 0.0)) < 4 * each["standard_error"]
    assert result["screening"]["effects"][0]["standard_error"] < 0.005
    table, notes = screen_table(result), " ".join(screen_notes(result))
    assert next(iter(table.columns[0].cells)) == "n_qubits"
    assert "resolution" in notes
    assert "no test set was read" in notes
    write_screen_plot(result, tmp_path / "screen.png")
    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")


class TestTrials:
    def test_levels_reach_what_they_are_of(self) -> None:
        factors = {
            "n_qubits": [2, 4],
            "encoder.layers": [1, 2],
            "training.learning_rate": [0.001, 0.01],
            "backend.p2": [0.0, 0.1],
            "backend.shots": ["none", 8],
        }
        plan = screen_of(factors=factors, backend="statevector,seed=3", training={"epochs": 2})
        planned = screen_trials(plan, rows())
        runs = design_of(plan).settings()
        assert len(planned) == 2 * len(runs) == len({trial.key for trial in planned})
        assert not any(trial.tested for trial in planned)
        for trial, levels in zip(planned, runs * 2, strict=True):
            assert trial.n_qubits == levels["n_qubits"]
            shots, p2 = levels["backend.shots"], levels["backend.p2"]
            assert set(trial.backend.split(",")) == {"statevector", "seed=3", f"shots={shots}", f"p2={p2}"}
            assert trial.settings == {
                "training.epochs": 2,
                "encoder.layers": levels["encoder.layers"],
                "training.learning_rate": levels["training.learning_rate"],
            }

    def test_no_test_set_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(*_: object) -> None:
            raise AssertionError("the seal was broken")

        monkeypatch.setattr(SealedTest, "measure", read)
        record = run_trial(screen_trials(screen_of(), rows())[0], rows())
        assert (record.test, record.predictions, record.truth) == ({}, (), ())
        assert 0 <= record.validation["accuracy"] <= 1
        assert TrialRecord.from_mapping(json.loads(json.dumps(record.to_mapping()))) == record

    def test_a_classical_arm(self) -> None:
        factors = {"dropout": [0.0, 0.5], "training.weight_decay": [0.001, 0.1]}
        planned = screen_trials(screen_of(arms=("mlp-48",), reference="mlp-48", factors=factors), rows())
        assert {trial.settings["widths"] for trial in planned} == {48}
        assert {trial.n_qubits for trial in planned} == {None}

    @pytest.mark.parametrize(
        ("factors", "error", "told"),
        [
            ({"reupload": [1, 2], "layers": [1, 2]}, UnknownNameError, "did you mean 'reuploads'"),
            ({"training.epoch": [1, 2], "layers": [1, 2]}, UnknownNameError, "did you mean 'epochs'"),
            ({"backend.shot": [1, 2], "layers": [1, 2]}, UnknownNameError, "did you mean 'shots'"),
            ({"n_qubits": [2, 4], "connectivity": [1, 3]}, InputError, "at most 1 with 2 qubits"),
            ({"n_qubits": ["few", 4], "layers": [1, 3]}, InputError, "few"),
        ],
    )
    def test_what_cannot_be_built_is_refused_before_anything_is_trained(
        self, factors: dict[str, Any], error: type[Exception], told: str
    ) -> None:
        with pytest.raises(error, match=told):
            screen_trials(screen_of(factors=factors), rows())


class TestPlan:
    def test_the_paper_s_factors_are_the_default(self, tmp_path: Path) -> None:
        plan = ScreenPlan()
        assert len(design_of(plan).signs) == 12
        (tmp_path / "study.toml").write_text(plan_to_toml(plan))
        assert read_plan(tmp_path / "study.toml", ScreenPlan) == plan
        assert len(screen_trials(ScreenPlan(data=OPTIONS), rows())) == 60

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"arms": ("two-module", "dressed")}, "one arm at one number of qubits"),
            ({"qubits": (2, 4)}, "one arm at one number of qubits"),
            ({"budget": 3}, "no search"),
            ({"factors": {"layers": [1, 2]}}, "the factors layers; expected two or more"),
            ({"factors": {"layers": [1, 1], "reuploads": [1, 2]}}, "1 as both levels"),
            ({"factors": {"layers": [1], "reuploads": [1, 2]}}, r"the levels \[1\]"),
            ({"factors": {"layers": 3, "reuploads": [1, 2]}}, "the levels 3"),
            ({"factors": {"layers": [1, 2, 3], "reuploads": [1, 2]}}, "'reuploads' has no centre"),
            (
                {"options": {"two-module": {"circuit.reuploads": 2}}},
                "'reuploads' was also given as a fixed setting",
            ),
            ({"training": {"epochs": 2}}, "'training.epochs' was also given as a fixed setting"),
            (
                {"backend": "statevector,shots=8", "factors": {"backend.shots": [4, 8], "layers": [1, 2]}},
                "'backend.shots' was also given as a fixed setting",
            ),
            ({"arms": ("svc",), "reference": "svc"}, "'n_qubits' was given for arm 'svc'"),
        ],
    )
    def test_what_is_refused(self, changes: dict[str, Any], told: str) -> None:
        with pytest.raises(InputError, match=told):
            screen_of(**changes)


class TestResult:
    def test_a_centre_run_shows_curvature(self) -> None:
        factors = {"training.epochs": [1, 2, 3], "layers": [1, 2, 3]}
        plan = screen_of(factors=factors, training={}, seeds=tuple(range(6)))

        def accuracy(trial: Trial) -> float:
            bent = 0.1 if trial.settings["layers"] == 2 else 0.0
            return 0.7 + bent + 0.001 * float(np.random.default_rng(int(trial.key[:8], 16)).standard_normal())

        planned, state = recorded(plan, accuracy)
        result = summarise(plan, planned, state)
        assert len(result["cells"]) == 5
        assert result["screening"]["curvature"]["value"] == pytest.approx(-0.1, abs=0.005)
        assert "Curvature, corners minus centre: -" in " ".join(screen_notes(result))

    def test_a_failed_trial_leaves_its_seed_out_of_every_run(self) -> None:
        plan = screen_of(seeds=(0, 1, 2))
        planned, state = recorded(plan, lambda trial: 0.5 + 0.1 * np.random.default_rng(trial.seed).random())
        lost = planned[1]
        del state.records[lost.key]
        state.failures[lost.key] = TrialFailure(lost.key, lost.to_mapping(), "MemoryError: large", 1.0)
        result = summarise(plan, planned, state)
        assert result["left_out"] == [0]
        assert (result["done"], result["failed"]) == (11, 1)
        notes = list(screen_notes(result))
        assert "Left out, because a run of theirs failed: seeds 0." in notes
        assert "Failed: run 2, seed 0: MemoryError: large" in notes

    def test_what_cannot_be_judged_is_said_and_kept(self, tmp_path: Path) -> None:
        plan = screen_of()
        planned, state = recorded(plan, lambda trial: 0.5)
        result = summarise(plan, planned, state)
        assert result["screening"] is None
        assert result["unjudged"].startswith(
            "every run gave the same response, 0.5, so no effect can be told"
        )
        assert screen_table(result).row_count == 4
        state.records.clear()
        nothing = summarise(plan, planned, state)
        assert nothing["unjudged"] == "no seed finished every run of the design"
        assert screen_table(nothing).row_count == 4
        assert any("Effects are not judged: no seed" in note for note in screen_notes(nothing))
        write_screen_plot(nothing, tmp_path / "screen.png")
        assert not (tmp_path / "screen.png").exists()


def test_a_real_screen(tmp_path: Path) -> None:
    """Four small trainings with shots, in this process."""
    plan = screen_of(
        seeds=(0,), training={**QUICK, "epochs": 2}, factors={"reuploads": [1, 2], "backend.shots": [4, 64]}
    )
    context: TrialContext = rows()
    planned = screen_trials(plan, context)
    records = {trial.key: run_trial(trial, context) for trial in planned}
    about = {"data": "rows", "classes": [0, 1], "test_texts": {"0": []}}
    result = summarise(plan, planned, StudyState(about, records=records))
    assert [cell["levels"] for cell in result["cells"]] == list(design_of(plan).settings())
    counts = {cell["n_parameters"][0] for cell in result["cells"]}
    assert len(counts) == 1
