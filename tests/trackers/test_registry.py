"""How destinations are read, and which are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hybridqies.errors import InputError, MissingExtraError, UnknownNameError
from hybridqies.trackers import TRACKERS, Destination, read_destinations

NEEDED = {"tensorboard": "torch.utils.tensorboard", "mlflow": "mlflow", "trackio": "trackio"}


def test_words_are_names_with_targets() -> None:
    words = ["tensorboard", "tensorboard:logs", "mlflow:http://127.0.0.1:5000"]
    found = read_destinations(words)
    assert found == (
        Destination("tensorboard", None),
        Destination("tensorboard", "logs"),
        Destination("mlflow", "http://127.0.0.1:5000"),
    )
    assert [each.word for each in found] == words


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["tensorbord"], "unknown tracker 'tensorbord'.* did you mean 'tensorboard'"),
        (["mlflow:"], "'mlflow:' was given without a target"),
        (["trackio", "trackio"], "'trackio' was given twice"),
        (["mlflow:https://user:word@host/"], "'mlflow' has a user, a password or a query in it"),
        (["mlflow:https://token@host/"], "expected an address without credentials"),
        (["mlflow:http://[::1"], "the target of tracker 'mlflow' is no address: .*; expected an address"),
        (["mlflow:postgresql://host/db?password=word"], "give them to mlflow in its environment variables"),
    ],
)
def test_what_is_refused(words: list[str], problem: str) -> None:
    with pytest.raises(InputError, match=problem) as raised:
        read_destinations(words)
    assert "word@" not in str(raised.value)
    assert "=word" not in str(raised.value)


def test_the_kind_of_refusal() -> None:
    with pytest.raises(UnknownNameError):
        read_destinations(["wandb"])


@pytest.mark.torch
@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, NEEDED[name], None)
    (found,) = read_destinations([name])
    with pytest.raises(MissingExtraError, match=rf"tracker '{name}' needs .* 'hybridqies\[{name}\]'"):
        found.make(tmp_path / "run")
