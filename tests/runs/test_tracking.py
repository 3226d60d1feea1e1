"""Trackers of a run: what they are told, that a resumed run goes on, and that none of them can end a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_tracker
import pytest

from hybridqies.cli.app import run
from hybridqies.errors import InputError
from hybridqies.records import read_record
from hybridqies.runs import Tracking
from hybridqies.trackers import Destination
from hybridqies.training.history import read_history

pytestmark = pytest.mark.usefixtures("own_cache", "fake_trackers")
TOLD, FAILS_AT, methods = fake_tracker.TOLD, fake_tracker.FAILS_AT, fake_tracker.methods


@pytest.fixture
def words(reviews: Path, tiny_encoder: Path, tmp_path: Path) -> list[str]:
    given = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(tmp_path / "run")]
    return [*given, "--head", "dressed", "--qubits", "3", "--epochs", "3", "--compare", "logistic", "--json"]


def result_numbers(folder: Path) -> dict[str, float]:
    result = read_record(folder / "result.json")
    return {f"result/{key}": value for key, value in result.items() if type(value) in (int, float)}


def test_each_arm_is_a_training(words: list[str], tmp_path: Path) -> None:
    assert run([*words, "--log-to", "fake:here"]) == 0
    logged = ["log 1", "log 2", "log 3"]
    assert methods() == ["make", "connect", "begin", *logged, "end", "begin", "end"]
    assert TOLD[0] == ("make", "here")
    _, name, config, known = TOLD[2]
    assert (name, known) == ("run/dressed", None)
    assert (config["head"], config["n_qubits"], config["training.epochs"]) == ("dressed", 3, 3)
    for (_, metrics), epoch in zip(TOLD[3:6], read_history(tmp_path / "run"), strict=True):
        assert metrics == {key: value for key, value in epoch.items() if key != "epoch"}
    assert TOLD[6][1] == result_numbers(tmp_path / "run")
    del config["n_qubits"]
    assert TOLD[7][1:] == ("run/logistic", {**config, "head": "logistic"}, None)
    assert TOLD[8][1] == result_numbers(tmp_path / "run" / "compare" / "logistic")


def test_a_run_that_is_resumed_goes_on_in_its_training(words: list[str], tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert run([*words, "--log-to", "fake"]) == 0
    TOLD.clear()
    assert run(["train", "--resume", "--out", out, "--epochs", "5", "--log-to", "fake", "--json"]) == 0
    own = TOLD[: methods().index("end")]
    assert own[2][3] == "training 1"
    assert [each[0] for each in own[3:]] == ["log 4", "log 5"]


def test_a_tracker_named_later_gets_earlier_epochs(words: list[str], tmp_path: Path) -> None:
    assert run(words) == 0
    again = ["train", "--resume", "--out", str(tmp_path / "run"), "--epochs", "4", "--json"]
    assert run([*again, "--log-to", "fake"]) == 0
    assert methods()[:8] == ["make", "connect", "begin", "log 1", "log 2", "log 3", "log 4", "end"]
    assert TOLD[2][3] is None


def test_a_run_that_had_finished_is_shown_whole_and_once(words: list[str], tmp_path: Path) -> None:
    assert run(words) == 0
    again = ["train", "--resume", "--out", str(tmp_path / "run"), "--json", "--log-to", "fake"]
    assert run(again) == 0
    logged = ["log 1", "log 2", "log 3"]
    assert methods() == ["make", "connect", "begin", *logged, "end", "begin", "log 1", "end"]
    assert [TOLD[2][1], TOLD[7][1]] == ["run/dressed", "run/logistic"]
    assert TOLD[6][1] == result_numbers(tmp_path / "run")
    TOLD.clear()
    assert run(again) == 0
    assert methods() == ["make", "connect"]


@pytest.mark.parametrize("method", ["begin", "log 2", "end"])
def test_a_tracker_that_fails_loses_no_run(
    method: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAILS_AT.append(method)
    assert run([*words, "--log-to", "fake"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "tracker" in line]
    assert len(lines) == 1
    assert "'fake' failed, and the run goes on without it: RuntimeError: no answer" in lines[0]
    assert "secret-word" not in lines[0]
    assert methods()[-1] != method
    assert read_record(tmp_path / "run" / "result.json")["epochs"] == 3


def test_an_interrupted_training_is_ended(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def log(self: Any, metrics: Any, step: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fake_tracker.Fake, "log", log)
    assert run([*words, "--log-to", "fake:a place"]) == 130
    assert TOLD[-1] == ("end", None)
    assert "--log-to 'fake:a place'" in capsys.readouterr().err


def test_a_tracker_out_of_reach_is_refused_before_any_work(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAILS_AT.append("connect")
    assert run([*words, "--log-to", "fake"]) == 2
    error = capsys.readouterr().err
    assert "tracker 'fake' cannot be used: RuntimeError: no answer" in error
    assert "secret-word" not in error
    assert not (tmp_path / "run").exists()


def test_no_secret_is_in_the_run(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addresses with credentials are refused, and those of the environment are hidden in messages."""
    assert run([*words, "--log-to", "fake:https://me:secret-word@tracker.example"]) == 2
    assert "secret-word" not in capsys.readouterr().err
    assert run([*words, "--log-to", "fake:https://tracker.example?write_token=secret-word"]) == 2
    assert "secret-word" not in capsys.readouterr().err
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "another-secret")

    def log(self: Any, metrics: Any, step: int) -> None:
        raise RuntimeError("refused: another-secret")

    monkeypatch.setattr(fake_tracker.Fake, "log", log)
    assert run([*words, "--log-to", "fake:https://tracker.example"]) == 0
    assert "another-secret" not in capsys.readouterr().err
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert b"secret" not in path.read_bytes()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://me:p%40ss-word@host", "https://me:p%40ss-word@host refuses p@ss-word"),
        ("https://me:p@ss-word@host", "https://me:p@ss-word@host refuses p@ss-word"),
        ("https://t0ken-p@ss-word@host", "no user t0ken-p@ss-word"),
        ("https://me:p@ss-word@[host", "cannot parse https://me:p@ss-word@[host"),
    ],
)
def test_no_part_of_an_address_is_shown(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)

    def connect(self: Any) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(fake_tracker.Fake, "connect", connect)
    destination = Destination("fake", None)
    with (
        pytest.raises(InputError, match="tracker 'fake' cannot be used: RuntimeError") as raised,
        Tracking({destination: fake_tracker.Fake(None, tmp_path)}, tmp_path, print),
    ):
        pass
    assert "ss-w" not in str(raised.value)
    assert "word" not in str(raised.value)


def test_a_damaged_record_is_refused_when_resumed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--log-to", "fake"]) == 0
    (tmp_path / "run" / "trackers.json").write_text("{}")
    again = ["train", "--resume", "--out", str(tmp_path / "run"), "--epochs", "4"]
    assert run([*again, "--log-to", "fake"]) == 2
    assert "trackers.json' has no digest" in capsys.readouterr().err
