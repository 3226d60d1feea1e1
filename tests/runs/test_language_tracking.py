"""Trackers of a language model's training: its curves, its result, and that a resumed run goes on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import fake_tracker
import pytest

from hybridqies.cli.app import run
from hybridqies.records import read_record
from hybridqies.training.history import read_history

pytestmark = pytest.mark.usefixtures("fake_trackers")
TOLD, FAILS_AT, methods = fake_tracker.TOLD, fake_tracker.FAILS_AT, fake_tracker.methods
SMALL = "--size 3k --window 8 --n-tokens 300 --epochs 3 --arm tap --set width=16 --set n_layers=1 --json"
TOKENS_OF_EPOCH = 8 * round(300 / 8 / 3)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def words(tmp_path: Path, out: Path) -> list[str]:
    text = tmp_path / "text.txt"
    text.write_text("abcdefg" * 80, encoding="utf-8")
    return ["lm", "train", "--text", str(text), *SMALL.split(), "--out", str(out)]


def interrupt_at(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log = fake_tracker.Fake.log

    def stop(self: Any, metrics: Any, step: int) -> None:
        if step == epoch:
            raise KeyboardInterrupt
        log(self, metrics, step)

    monkeypatch.setattr(fake_tracker.Fake, "log", stop)


def test_a_training_has_its_curves_and_its_result(words: list[str], out: Path, tmp_path: Path) -> None:
    assert run([*words, "--log-to", "fake:here"]) == 0
    assert methods() == ["make", "connect", "begin", "log 1", "log 2", "log 3", "end"]
    assert TOLD[0] == ("make", "here")
    _, name, config, known = TOLD[2]
    assert (name, known) == ("run/tap", None)
    expected = ("tap", 8, 3, str(tmp_path / "text.txt"))
    keys = ("model.arm", "model.context", "model.training.epochs", "text")
    assert tuple(config[key] for key in keys) == expected
    for (_, metrics), epoch in zip(TOLD[3:6], read_history(out), strict=True):
        assert metrics.pop("validation_perplexity") == pytest.approx(math.exp(epoch["validation_loss"]))
        speed = metrics.pop("tokens_per_second")
        assert speed * epoch["seconds"] == pytest.approx(TOKENS_OF_EPOCH * epoch["epoch"])
        assert metrics == {key: value for key, value in epoch.items() if key != "epoch"}
        assert "train_loss" in metrics
    result = read_record(out / "result.json")
    numbers = {f"result/{key}": value for key, value in result.items() if type(value) in (int, float)}
    assert TOLD[6][1] == numbers
    assert "result/test_perplexity" in numbers


def test_an_interrupted_run_goes_on_in_its_training(
    words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(3, patch)
        assert run([*words, "--log-to", "fake:a place"]) == 130
    assert TOLD[-1] == ("end", None)
    again = f"hybridqies lm train --resume --out {out} --log-to 'fake:a place'"
    assert f"continue with: {again}\n" in capsys.readouterr().err
    TOLD.clear()
    assert run(["lm", "train", "--resume", "--out", str(out), "--json", "--log-to", "fake:a place"]) == 0
    assert methods() == ["make", "connect", "begin", "log 3", "end"]
    assert TOLD[2][3] == "training 1"


def test_a_tracker_named_later_gets_earlier_epochs(
    words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(3, patch)
        assert run([*words, "--log-to", "fake"]) == 130
    TOLD.clear()
    assert run(["lm", "train", "--resume", "--out", str(out), "--json", "--log-to", "fake:other"]) == 0
    assert methods() == ["make", "connect", "begin", "log 1", "log 2", "log 3", "end"]
    assert all("validation_perplexity" in each[1] for each in TOLD[3:6])


def test_a_run_that_had_finished_is_shown_whole_and_once(words: list[str], out: Path) -> None:
    assert run(words) == 0
    again = ["lm", "train", "--resume", "--out", str(out), "--json", "--log-to", "fake"]
    assert run(again) == 0
    assert methods() == ["make", "connect", "begin", "log 1", "log 2", "log 3", "end"]
    assert TOLD[2][1] == "run/tap"
    assert "validation_perplexity" in TOLD[3][1]
    assert TOLD[6][1]["result/test_loss"] == read_record(out / "result.json")["test_loss"]
    TOLD.clear()
    assert run(again) == 0
    assert methods() == ["make", "connect"]


@pytest.mark.parametrize("method", ["begin", "log 2", "end"])
def test_a_tracker_that_fails_loses_no_run(
    method: str, words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAILS_AT.append(method)
    assert run([*words, "--log-to", "fake"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "tracker" in line]
    assert "'fake' failed, and the run goes on without it: RuntimeError: no answer" in line
    assert "secret-word" not in line
    assert read_record(out / "result.json")["epochs"] == 3


@pytest.mark.parametrize(
    ("word", "fails_at", "told"),
    [
        ("fakes", None, "unknown tracker 'fakes'"),
        ("fake", "connect", "tracker 'fake' cannot be used: RuntimeError: no answer"),
        ("fake:https://me:secret-word@host/", None, "a user, a password or a query in it"),
    ],
)
def test_what_is_refused_before_any_work(
    word: str,
    fails_at: str | None,
    told: str,
    words: list[str],
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    FAILS_AT.extend([fails_at] if fails_at else [])
    assert run([*words, "--log-to", word]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "secret-word" not in error
    assert error.count("\n") == 1
    assert not out.exists()
