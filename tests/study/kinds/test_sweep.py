"""A sweep's result, from its records alone: intervals, tests, and what it refuses to say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study.studies import plan_of, rows

from hybridqies.errors import InputError
from hybridqies.report.studies.sweep import sweep_notes, sweep_table, write_sweep_plot
from hybridqies.runs.config import DataOptions
from hybridqies.study.conduct import check_new, recorded_plan, run_study
from hybridqies.study.context import TrialContext
from hybridqies.study.kinds.sweep import SWEEP, SweepPlan, summarise, sweep_trials
from hybridqies.study.plan_file import plan_to_toml
from hybridqies.study.statistics.comparisons import describe_seeds
from hybridqies.study.trials.journal import StudyState
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import Trial, TrialRecord

SEEDS = tuple(range(12))
TEXTS = 400


def planned(**changes: Any) -> tuple[SweepPlan, tuple[Trial, ...]]:
    plan = plan_of(seeds=SEEDS, options={}, **changes)
    return plan, sweep_trials(plan, rows())


def record_of(trial: Trial, accuracy: float) -> TrialRecord:
    """A record of a trial that gave every answer but the last ones rightly."""
    right = np.arange(TEXTS) < round(accuracy * TEXTS)
    metrics = {"accuracy": float(right.mean()), "macro_f1": accuracy}
    answers, truth = tuple(right.astype(int).tolist()), (1,) * TEXTS
    return TrialRecord(
        trial.key, trial.to_mapping(), {}, (), metrics, metrics, answers, truth, 9, True, "", 1.0
    )


def state_of(all_trials: tuple[Trial, ...], accuracy: Any) -> StudyState:
    about = {
        "data": "rows",
        "classes": [0, 1],
        "test_texts": {str(seed): list(range(TEXTS)) for seed in SEEDS},
    }
    return StudyState(about, records={t.key: record_of(t, accuracy(t)) for t in all_trials})


def noisy(trial: Trial) -> float:
    """A level for each arm, and a little that differs by seed."""
    level = {"two-module": 0.70, "matched-mlp": 0.80, "logistic": 0.80}[trial.arm]
    return level + 0.01 * np.random.default_rng([trial.seed, len(trial.arm)]).standard_normal()


def test_what_is_shown_and_what_is_not() -> None:
    plan, all_trials = planned()
    result = summarise(plan, all_trials, state_of(all_trials, noisy))
    assert [(each["arm"], each["n_qubits"]) for each in result["cells"]] == [
        ("two-module", 2), ("two-module", 3), ("matched-mlp", 2), ("matched-mlp", 3), ("logistic", None),
    ]  # fmt: skip
    verdicts = {(each["arm"], each["n_qubits"]): each["verdict"] for each in result["comparisons"]}
    assert verdicts == {
        ("two-module", 2): "worse",
        ("two-module", 3): "worse",
        ("matched-mlp", 2): "no difference was shown",
        ("matched-mlp", 3): "no difference was shown",
    }
    assert {each["family"] for each in result["comparisons"]} == {4}
    cell = result["cells"][0]
    values = list(cell["accuracies"].values())
    assert cell["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert cell["accuracy"]["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert all(each["over_texts"]["paired"]["n_texts"] == TEXTS for each in result["comparisons"])


def test_a_reference_with_qubits_is_met_at_its_own_number() -> None:
    plan, all_trials = planned(reference="two-module")
    result = summarise(plan, all_trials, state_of(all_trials, noisy))
    names = [(each["arm"], each["reference"]) for each in result["comparisons"]]
    assert names == [
        ("matched-mlp", "two-module, 2 qubits"),
        ("logistic", "two-module, 2 qubits"),
        ("matched-mlp", "two-module, 3 qubits"),
        ("logistic", "two-module, 3 qubits"),
    ]


def test_searched_against_unsearched_is_refused() -> None:
    plan, all_trials = planned()
    mixed = tuple(dataclasses.replace(t, budget=5) if t.arm == "logistic" else t for t in all_trials)
    with pytest.raises(InputError, match=r"searched with no search .* and 'logistic' with 5 configurations"):
        summarise(plan, mixed, state_of(mixed, noisy))


def test_failed_trials_are_named_and_leave_the_rest(tmp_path: Path) -> None:
    plan, all_trials = planned()
    state = state_of(all_trials, noisy)
    lost = next(trial for trial in all_trials if trial.arm == "two-module" and trial.n_qubits == 2)
    gone = [trial for trial in all_trials if trial.arm == "matched-mlp" and trial.n_qubits == 3]
    for trial in (lost, *gone):
        del state.records[trial.key]
        state.failures[trial.key] = TrialFailure(trial.key, trial.to_mapping(), "MemoryError: too large", 1.0)
    result = summarise(plan, all_trials, state)
    assert (result["done"], result["failed"]) == (len(all_trials) - 13, 13)
    assert result["cells"][0]["accuracy"]["n"] == len(SEEDS) - 1
    assert result["comparisons"][0]["left_out"] == [0]
    notes = list(sweep_notes(result))
    assert "Failed: two-module, 2 qubits, seed 0: MemoryError: too large" in notes
    assert sweep_table(result).row_count == 5
    write_sweep_plot(result, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_without_the_reference_nothing_is_compared() -> None:
    plan, all_trials = planned()
    state = state_of(tuple(trial for trial in all_trials if trial.arm != "logistic"), noisy)
    result = summarise(plan, all_trials, state)
    assert result["comparisons"] == []
    assert sweep_table(result).row_count == 5


def test_few_seeds_and_hand_made_settings_are_said() -> None:
    plan = plan_of(options={"logistic": {"C": 2.0}})
    all_trials = sweep_trials(plan, rows())
    state = state_of(all_trials, noisy)
    notes = " ".join(sweep_notes(summarise(plan, all_trials, state)))
    assert "Set by hand, and so not searched alike: options of logistic." in notes
    assert "2 seeds cannot show any difference in a family of 4: at least 8 are needed." in notes


@pytest.mark.usefixtures("own_cache")
def test_a_plan_that_cannot_run_leaves_no_folder(reviews: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    data = DataOptions(str(reviews), per_class=20)
    plan = plan_of(data=data, encoder=str(tiny_encoder), options={"two-module": {"encoders": 0}})
    with pytest.raises(InputError, match="encoders"):
        run_study(SWEEP, plan, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_of_two_that_begin_in_one_folder_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process writes its plan between the last look at the folder and the writing of one's own."""
    folder, own = tmp_path / "sweep", plan_of()
    monkeypatch.setattr(TrialContext, "load", lambda source: rows())
    theirs = plan_to_toml(plan_of(seeds=(5,)))

    def begin_first(*_: object) -> None:
        folder.mkdir()
        (folder / "study.toml").write_text(theirs)

    looks = iter([lambda: None, lambda: None, begin_first])
    monkeypatch.setattr(
        "hybridqies.study.conduct.check_new", lambda _: next(looks, lambda: check_new(folder))()
    )
    with pytest.raises(InputError, match="is not empty"):
        run_study(SWEEP, own, folder)
    assert [path.name for path in folder.iterdir()] == ["study.toml"]
    assert (folder / "study.toml").read_text() == theirs


def test_folders(tmp_path: Path) -> None:
    check_new(tmp_path / "new")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="continue the study there with --resume"):
        check_new(tmp_path)
    with pytest.raises(InputError, match=r"holds no study\.toml"):
        recorded_plan(tmp_path, SweepPlan)


def test_what_a_kill_left_behind_does_not_bar_a_new_study(tmp_path: Path) -> None:
    (tmp_path / ".study-0123456789ab.toml").write_text("half")
    check_new(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        check_new(tmp_path)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_loaded(
    resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrialContext, "load", lambda *_: pytest.fail("data was loaded"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file/study' cannot be written to: Not a dir"):
        run_study(SWEEP, plan_of(), tmp_path / "file" / "study", resume=resume)


@pytest.mark.usefixtures("own_cache")
def test_one_arm_alone_is_a_study_and_says_nothing_of_differences(
    reviews: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    data, said = DataOptions(str(reviews), per_class=20), list[str]()
    plan = plan_of(arms=("logistic",), options={}, data=data, encoder=str(tiny_encoder))
    result = run_study(SWEEP, plan, tmp_path / "study", on_start=said.append)
    assert (result["done"], result["comparisons"], said) == (2, [], [])
    table = sweep_table(result)
    assert "tested against" not in str(table.title)
    assert "the reference" not in list(table.columns[-2].cells)
    assert not any("difference" in note for note in sweep_notes(result))


@pytest.mark.usefixtures("own_cache")
def test_how_many_seeds_a_difference_needs_is_said_before_the_first_trial(
    reviews: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    data, said = DataOptions(str(reviews), per_class=20), list[str]()
    plan = plan_of(arms=("svc", "logistic"), options={}, data=data, encoder=str(tiny_encoder))
    run_study(
        SWEEP, plan, tmp_path / "study", on_start=said.append, on_counts=lambda counts: said.append("trials")
    )
    assert said[0] == (
        "1 comparison at 5 % together: a difference can be shown with at least 6 seeds; 2 are planned, "
        "so none can be shown; use --seeds 6 or fewer arms"
    )
    assert set(said[1:]) == {"trials"}
    assert describe_seeds(3, 7) == (
        "3 comparisons at 5 % together: a difference can be shown with at least 7 seeds; 7 are planned"
    )
