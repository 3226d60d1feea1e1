"""A run of a task without classes: trained, saved, reported and resumed as any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from study.regression import Regression

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.records import read_record
from hybridqies.report import comparison_table, write_pictures
from hybridqies.runs import RunConfig, evaluate_run, execute, prepare, start_run
from hybridqies.runs.folder import read_result
from hybridqies.tasks import TASKS
from hybridqies.training import TrainingConfig

CONFIG = RunConfig(
    task="regression",
    head="dressed",
    n_qubits=2,
    compare=("mlp",),
    training=TrainingConfig(epochs=3, learning_rate=0.05),
)


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "regression", "study.regression:Regression")


def test_it_is_trained_recorded_and_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    prepared = prepare(CONFIG)
    start_run(prepared, folder)
    comparison = execute(prepared, folder)
    assert read_record(folder / "comparison.json") == comparison
    assert [each["name"] for each in comparison["metrics"]] == [each.name for each in Regression.metrics]
    assert comparison["overlap"] == 0
    own, other = comparison["results"]
    assert own == read_result(folder)
    assert (own["head"], other["head"]) == ("dressed", "mlp")
    assert (own["n_test"], own["n_validation"], own["n_train"]) == (20, 20, 80)
    assert 0 < own["rmse"] < own["worst"]
    assert own["validation_rmse"] == min(record["validation_rmse"] for record in _history(folder))
    assert own["classes"] == []
    assert not {"accuracy", "confusion", "encoder"} & set(own)
    names = {path.name for path in write_pictures(folder)}
    assert names == {"training_curve.png", "circuit.png", "circuit.txt"}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(comparison_table(comparison))
    assert f"{own['rmse']:.4g}" in captured.get()
    assert "%" not in captured.get()


def test_finished_arms_are_kept_and_checked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    start_run(prepare(CONFIG), folder)
    first = execute(prepare(CONFIG), folder)
    assert execute(prepare(CONFIG), folder, resume=True) == first
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelFolderError, match="is truncated or was altered"):
        execute(prepare(CONFIG), folder, resume=True)


def test_it_is_no_text_classifier(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    start_run(prepare(CONFIG), folder)
    execute(prepare(CONFIG), folder)
    with pytest.raises(InputError, match="holds a model of task 'regression'; expected a text classifier"):
        evaluate_run(folder, None, "test")


def test_a_task_that_saves_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Regression, "saver", "")
    start_run(prepare(CONFIG), tmp_path / "run")
    with pytest.raises(
        InputError, match="given task 'regression'; expected a task whose models can be saved"
    ):
        execute(prepare(CONFIG), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def _history(folder: Path) -> tuple[dict[str, float], ...]:
    from hybridqies.training.history import read_history

    return read_history(folder)
