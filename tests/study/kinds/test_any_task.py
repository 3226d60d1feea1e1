"""Every kind of study runs over a task without classes, and compares by the metric that the task names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from study.regression import Numbers, Regression

from hybridqies.errors import InputError
from hybridqies.records import read_record
from hybridqies.report.studies import report_of
from hybridqies.study.conduct import run_study
from hybridqies.study.context import TrialContext
from hybridqies.study.kinds import STUDIES
from hybridqies.study.plan import StudyPlan
from hybridqies.study.protocol import attempt, run_trial
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.tasks import TASKS, Metric

QUICK = {"epochs": 5, "learning_rate": 0.05, "batch_size": 20}


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "regression", "study.regression:Regression")


def plan_of(kind: str, **changes: Any) -> StudyPlan:
    base: dict[str, Any] = {"task": "regression", "seeds": tuple(range(7)), "training": QUICK}
    plan: StudyPlan = STUDIES[kind].plan(**base | changes)
    return plan


def conduct(plan: StudyPlan, folder: Path) -> tuple[dict[str, Any], str]:
    """The result of a study, and everything that its report prints."""
    result = run_study(STUDIES[plan.kind], plan, folder)
    assert read_record(folder / "study.json") == result
    assert (result["done"], result["failed"]) == (result["trials"], 0)
    report = report_of(plan.kind)
    report.write_plot(result, folder / "plot.png")
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report.table(result), *report.notes(result))
    return result, captured.get()


def test_a_sweep_compares_errors_of_which_less_is_better(tmp_path: Path) -> None:
    plan = plan_of(
        "sweep",
        arms=("dressed", "mlp-0", "mlp-48"),
        qubits=(2,),
        reference="mlp-0",
        # The reference hardly learns, so that the larger perceptron has the lower error on every seed.
        options={"mlp-0": {"training.learning_rate": 1e-6}},
    )
    result, shown = conduct(plan, tmp_path / "sweep")
    (large,) = (each for each in result["comparisons"] if each["arm"] == "mlp-48")
    assert large["over_seeds"]["difference"]["mean"] < 0
    assert large["verdict"] == "better"
    assert large["over_texts"] is None
    assert "mlp-48 against mlp-0: better (−" in large["statement"]
    assert " in rmse" in large["statement"]
    assert "points" not in large["statement"]
    cells = {cell["label"]: cell for cell in result["cells"]}
    assert set(cells["mlp-48"]["rmses"]) == {"0", "1", "2", "3", "4", "5", "6"}
    assert cells["mlp-48"]["rmse"]["mean"] < cells["mlp-0"]["rmse"]["mean"]
    assert cells["mlp-48"]["worst"]["mean"] > cells["mlp-48"]["rmse"]["mean"]
    assert "accuracy" not in shown
    assert "test rmse" in shown
    assert "%)" not in shown
    assert (tmp_path / "sweep" / "plot.png").is_file()


def test_a_search_chooses_the_lowest_error() -> None:
    plan = plan_of("sweep", arms=("mlp-48",), seeds=(0,), budget=5)
    context = TrialContext(Numbers())
    (trial,) = STUDIES["sweep"].trials(plan, context)
    record = run_trial(trial, context)
    errors = [each["validation_rmse"] for each in record.candidates]
    assert len(set(errors)) == 5
    assert record.validation["rmse"] == min(errors)
    assert (record.predictions, record.truth) == ((), ())


def test_a_screen_has_effects_on_the_error(tmp_path: Path) -> None:
    plan = plan_of(
        "screen",
        arms=("dressed",),
        qubits=(2,),
        seeds=(0, 1),
        training={"epochs": 5, "batch_size": 20},
        factors={"layers": [1, 2], "training.learning_rate": [1e-4, 0.05]},
    )
    result, shown = conduct(plan, tmp_path / "screen")
    assert result["response"] == "validation rmse"
    effects = {each["name"]: each["value"] for each in result["screening"]["effects"]}
    assert effects["training.learning_rate"] < 0
    assert "effects on validation rmse" in shown
    assert "points" not in shown


def test_an_ablation_compares_errors(tmp_path: Path) -> None:
    plan = plan_of(
        "ablate",
        qubits=(2,),
        seeds=(0, 1),
        modules=("readout", "pqc-2"),
        options={"two-module": {"encoders": 1, "encoder.layers": 1, "layers": 1}},
    )
    result, shown = conduct(plan, tmp_path / "ablate")
    assert [each["arm"] for each in result["comparisons"]] == ["readout untrained", "no PQC 2"]
    assert "test rmse" in shown


def test_a_solver_for_classes_fails_by_name() -> None:
    plan = plan_of("sweep", arms=("logistic",), seeds=(0,))
    context = TrialContext(Numbers())
    (outcome,) = attempt(STUDIES["sweep"].trials(plan, context), context)
    assert isinstance(outcome, TrialFailure)
    assert "was given the objective SquaredError; expected cross-entropy" in outcome.error


def test_a_task_that_does_not_measure_what_it_names_is_told_in_the_first_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Regression, "metrics", (Metric("loss", "losses", higher_is_better=False),))
    plan = plan_of("sweep", arms=("mlp-0",), seeds=(0,))
    context = TrialContext(Numbers())
    (trial,) = STUDIES["sweep"].trials(plan, context)
    with pytest.raises(
        InputError, match="task 'regression' measured rmse, worst; expected 'loss' among them"
    ):
        run_trial(trial, context)


def test_the_objective_of_the_task_is_what_trains() -> None:
    """A head that cross-entropy would train in a stack is trained by the task's own loss."""
    plan = plan_of("sweep", arms=("mlp-0",), seeds=(0, 1, 2))
    context = TrialContext(Numbers())
    trials = STUDIES["sweep"].trials(plan, context)
    together = attempt(trials, context)
    for trial, outcome in zip(trials, together, strict=True):
        record = run_trial(trial, context)
        assert record.same_numbers(outcome)  # type: ignore[arg-type]
