"""Every task of the table is trained, resumed, recorded, drawn and studied in the same way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hybridqies.records import read_record
from hybridqies.report import comparison_table, write_pictures
from hybridqies.report.html.commands import train_command
from hybridqies.report.studies import report_of
from hybridqies.runs import Hooks, RunConfig, execute, prepare, recorded_config, start_run
from hybridqies.runs.folder import read_result
from hybridqies.study.conduct import run_study
from hybridqies.study.kinds import STUDIES
from hybridqies.tasks import TASKS, DataOptions, load_task
from hybridqies.training import TrainingConfig

pytestmark = pytest.mark.usefixtures("own_cache")

PARITY = "sparse-parity:n_tasks=2,n_bits=8,n_relevant=2,n_rows=100"
EVENTS = "radiation-events:n_runs=64,duration=30,rate=2,tau=8,width=8,heads=2,layers=1"
ATTENTION = f"{EVENTS},encoder=attention"

# Data of each task, and a classical head to compare with.
CASES = {
    "text-classification": ("reviews", "logistic"),
    "sparse-parity": (PARITY, "logistic"),
    "radiation-events": (EVENTS, "logistic"),
    "radiation-events with attention": (ATTENTION, "mlp"),
}


def test_every_task_has_a_case() -> None:
    assert {name.partition(" ")[0] for name in CASES} == set(TASKS)


@pytest.fixture(params=CASES)
def config(request: pytest.FixtureRequest, reviews: Path, tiny_encoder: Path) -> RunConfig:
    source, rival = CASES[request.param]
    task = request.param.partition(" ")[0]
    usual = RunConfig()
    is_made = load_task(task).is_made
    return RunConfig(
        task=task,
        data=DataOptions(source if is_made else str(reviews)),
        encoder=usual.encoder if is_made else str(tiny_encoder),
        head="dressed",
        n_qubits=2,
        compare=(rival,),
        training=TrainingConfig(epochs=2, learning_rate=0.01),
    )


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    start_run(prepare(config), folder)
    return execute(prepare(config), folder)


def test_it_is_trained_recorded_drawn_and_resumed(config: RunConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    comparison = train(config, folder)
    task = load_task(config.task)
    assert read_record(folder / "comparison.json") == comparison
    assert [each["name"] for each in comparison["metrics"]] == [each.name for each in task.metrics]
    assert comparison["overlap"] == 0
    own, rival = comparison["results"]
    assert own == read_result(folder)
    assert (own["head"], rival["head"]) == ("dressed", *config.compare)
    assert own["data_fingerprint"] == rival["data_fingerprint"]
    assert {part: own[f"n_{part}"] for part in comparison["data"]["rows"]} == comparison["data"]["rows"]
    assert recorded_config(folder) == config.anchored()
    assert {"training_curve.png", "confusion_matrix.png"} < {each.name for each in write_pictures(folder)}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(comparison_table(comparison))
    assert f"{100 * own['accuracy']:.2f} %" in captured.get()
    assert f"--data {config.data.source}" in train_command(config)
    assert (f"--task {config.task}" in train_command(config)) is task.is_made
    assert execute(prepare(config), folder, resume=True) == comparison


def test_an_interrupted_run_ends_in_the_same_weights(config: RunConfig, tmp_path: Path) -> None:
    def stop(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    alone = replace(config, compare=())
    whole = train(alone, tmp_path / "whole")["results"][0]
    start_run(prepare(alone), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        execute(prepare(alone), tmp_path / "run", hooks=Hooks(on_epoch=stop))
    resumed = execute(prepare(alone), tmp_path / "run", resume=True)["results"][0]
    assert resumed["weights_sha256"] == whole["weights_sha256"]
    assert resumed["accuracy"] == whole["accuracy"]


@pytest.mark.parametrize(
    ("kind", "source", "given"),
    [
        ("sweep", PARITY, {"arms": ("dressed", "logistic", "mlp-0")}),
        ("sweep", ATTENTION, {"arms": ("dressed", "mlp-0")}),
        ("ablate", PARITY, {"modules": ("readout",)}),
    ],
)
def test_it_is_studied(kind: str, source: str, given: dict[str, Any], tmp_path: Path) -> None:
    study = STUDIES[kind]
    small = {"encoders": 1, "encoder.layers": 1, "layers": 1}
    plan = study.plan(
        task=source.partition(":")[0],
        data=DataOptions(source),
        qubits=(2,),
        seeds=(0, 1),
        training={"epochs": 1},
        options={"two-module": small} if kind == "ablate" else {},
        **given,
    )
    result = run_study(study, plan, tmp_path / "study")
    assert (result["done"], result["failed"]) == (result["trials"], 0)
    assert all(0 <= cell["accuracy"]["mean"] <= 1 for cell in result["cells"])
    assert run_study(study, plan, tmp_path / "study", resume=True) == result
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report_of(kind).table(result))
    assert "accuracy" in captured.get()
