"""The trackers with their real packages, read back by the packages' own readers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from hybridqies.trackers import TRACKERS, Tracker, read_destinations
from hybridqies.trackers.base import Scalar

Curves = dict[str, list[tuple[int, float]]]
CONFIG: dict[str, Scalar] = {"head": "dressed", "training.epochs": 3, "training.learning_rate": 0.003}


def read_tensorboard(folder: Path, training: str) -> Curves:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard" / training))
    found.Reload()
    names = found.Tags()["scalars"]
    return {name: [(each.step, each.value) for each in found.Scalars(name)] for name in names}


def read_mlflow(folder: Path, training: str) -> Curves:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    run = client.get_run(training)
    assert run.data.params == {name: str(value) for name, value in CONFIG.items()}
    assert run.info.status == "FINISHED"
    names = run.data.metrics
    return {
        name: [(each.step, each.value) for each in client.get_metric_history(training, name)]
        for name in names
    }


def read_trackio(folder: Path, training: str) -> Curves:
    from trackio.sqlite_storage import SQLiteStorage

    curves: Curves = {}
    for row in SQLiteStorage.get_logs("tests", training):
        for name, value in row.items():
            if name not in ("step", "timestamp"):
                curves.setdefault(name, []).append((row["step"], value))
    return curves


READERS: dict[str, Callable[[Path, str], Curves]] = {
    "tensorboard": read_tensorboard,
    "mlflow": read_mlflow,
    "trackio": read_trackio,
}


@pytest.fixture(params=TRACKERS)
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    found: str = request.param
    if importlib.util.find_spec(found) is None:
        pytest.skip(f"{found} is not installed")
    if found == "trackio":
        import trackio.sqlite_storage
        import trackio.utils

        for module in (trackio.utils, trackio.sqlite_storage):
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    return found


def connected(name: str, folder: Path) -> Tracker:
    target = {"mlflow": f"mlflow:sqlite:///{folder}/mlflow.db", "trackio": "trackio:tests"}
    (destination,) = read_destinations([target.get(name, name)])
    tracker = destination.make(folder / "run")
    tracker.connect()
    return tracker


def test_a_training_that_is_gone_on_with(name: str, tmp_path: Path) -> None:
    first = connected(name, tmp_path)
    training = first.begin("run/dressed", CONFIG, None)
    first.log({"train_loss": 0.5, "validation_accuracy": 0.25}, 1)
    first.log({"train_loss": 0.25, "validation_accuracy": 0.5}, 2)
    first.end(None)
    again = connected(name, tmp_path)
    assert again.begin("run/dressed", {**CONFIG, "training.epochs": 3}, training) == training
    again.log({"train_loss": 0.125, "validation_accuracy": 0.75}, 3)
    again.end({"result/accuracy": 0.625})
    assert READERS[name](tmp_path, training) == {
        "train_loss": [(1, 0.5), (2, 0.25), (3, 0.125)],
        "validation_accuracy": [(1, 0.25), (2, 0.5), (3, 0.75)],
        "result/accuracy": [(3, 0.625)],
    }


def test_trainings_of_the_same_name_stay_apart(name: str, tmp_path: Path) -> None:
    names = []
    for value in (0.5, 0.75):
        tracker = connected(name, tmp_path)
        names.append(tracker.begin("run/dressed", CONFIG, None))
        tracker.log({"train_loss": value}, 1)
        tracker.end({})
    assert [READERS[name](tmp_path, each) for each in names] == [
        {"train_loss": [(1, 0.5)]},
        {"train_loss": [(1, 0.75)]},
    ]


def test_nothing_is_printed_to_stdout(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = connected(name, tmp_path)
    tracker.begin("run/dressed", CONFIG, None)
    tracker.log({"train_loss": 0.5}, 1)
    tracker.end({})
    assert capfd.readouterr().out == ""
