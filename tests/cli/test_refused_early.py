"""What can be refused at once is refused before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hybridqies.cli.app import BAD_INPUT, run

SEEDED = {
    "lm generate": ["lm", "generate", "nowhere"],
    "quanta discover": ["quanta", "discover", "nowhere"],
    "scale fit": ["scale", "fit", "nowhere.csv"],
    "selfplay ranks": ["selfplay", "ranks", "nowhere"],
    "selfplay tournament": ["selfplay", "tournament", "nowhere"],
    "zipf": ["zipf", "--games", "100"],
}


def refusal(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> str:
    assert run(list(arguments)) == BAD_INPUT
    out, complaint = capsys.readouterr()
    assert not out
    assert complaint.count("\n") == 1
    return complaint


@pytest.mark.parametrize("seed", ["-1", str(2**32)])
@pytest.mark.parametrize("command", SEEDED)
def test_seeds_that_no_generator_takes(command: str, seed: str, capsys) -> None:
    assert "Invalid value for '--seed'" in refusal(capsys, [*SEEDED[command], "--seed", seed])


def test_pictures_of_no_known_kind(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was computed before it was refused")

    monkeypatch.setattr("hybridqies.ranks.measure_ranks", never)
    monkeypatch.setattr("hybridqies.study.loss_table.read_losses", never)
    for command in (["zipf"], ["scale", "fit", "losses.csv"]):
        assert ".png, .svg, .pdf" in refusal(capsys, [*command, "--picture", str(tmp_path / "x.xyz")])


def test_more_clusters_than_samples(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    # Before the model is read, and long before its gradients are computed.
    given = ["quanta", "discover", str(tmp_path), "--samples", "10", "--clusters", "10"]
    assert "10 samples were to be put into 10 clusters" in refusal(capsys, given)


@pytest.mark.parametrize("flag", ["--n-tokens", "--search-tokens"])
def test_a_number_of_tokens_is_named_as_one(flag: str, tmp_path: Path, capsys) -> None:
    given = ["scale", "run", "--out", str(tmp_path / "out"), flag, "many"]
    assert f"{flag} 'many' was given; expected a number of tokens" in refusal(capsys, given)
