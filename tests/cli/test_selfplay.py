"""`hybridqies selfplay`: training that goes on, tournament, ranks, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, INTERRUPTED, run

FLAGS = ("selfplay", "train", "--rounds", "2", "--games", "30", "--simulations", "3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "selfplay"
    assert run([*FLAGS, "--widths", "2,5", "--out", str(out)]) == 0
    return out


def test_records_and_tables(trained: Path, say: Say) -> None:
    shown = say("selfplay", "train", "--resume", "--out", trained)[0]
    record = json.loads(say("selfplay", "train", "--resume", "--json", "--out", trained)[0])
    assert [len(rounds) for rounds in record.values()] == [2, 2]
    assert f"{record['5'][1]['value_loss']:.3f}" in shown


def test_tournament(trained: Path, say: Say) -> None:
    shown = say("selfplay", "tournament", trained, "--openings", "5", "--rounds", "0,2")[0]
    record = json.loads((trained / "tournament.json").read_text(encoding="utf-8"))
    names = [row["player"] for row in record["players"]]
    assert names[:3] == ["random", "search alone", "width 2, round 0"]
    assert len(names) == 6
    assert record["players"][0]["elo"] == 0
    assert [row["parameters"] for row in record["players"][2:]] == [200, 200, 503, 503]
    assert all(name in shown for name in names)
    assert sum(map(sum, record["points"])) == 15 * 10


def test_ranks(trained: Path, say: Say) -> None:
    flags = ("--games", "25", "--first", "5", "--last", "50")
    shown = say("selfplay", "ranks", trained, *flags)[0]
    record = json.loads((trained / "ranks.json").read_text(encoding="utf-8"))
    assert record["compared"] == [2, 5]
    assert [size["width"] for size in record["sizes"]] == [2, 5]
    assert all(len(size["excess"]) == 3 for size in record["sizes"])
    assert sum(row["n_positions"] for row in record["changes"]) == record["positions"]
    assert f"{record['sizes'][0]['fit']['exponent']:.3f}" in shown
    assert (trained / "ranks.png").read_bytes().startswith(b"\x89PNG")


def test_an_interrupt_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from hybridqies.selfplay import training

    save = training._save

    def stop(folder, number, *given):
        save(folder, number, *given)
        if number == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_save", stop)
    out = tmp_path / "run"
    assert run([*FLAGS, "--widths", "2", "--out", str(out)]) == INTERRUPTED
    assert f"selfplay train --resume --out {out}" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(["selfplay", "train", "--resume", "--out", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["2"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "holds a run"),
        (["train", "--resume", "--rounds", "5"], "together with --rounds"),
        (["train", "--widths", "x"], "--widths was given 'x'"),
        (["tournament", "--rounds", "9"], "rounds from 0 to 2"),
        (["tournament", "--openings", "0"], "at least 1"),
        (["ranks", "--first", "90000"], "first < last"),
    ],
)
def test_bad_input_is_one_line(trained: Path, arguments, said, capsys) -> None:
    command, *flags = arguments
    where = ["--out", str(trained)] if command == "train" else [str(trained)]
    assert run(["selfplay", command, *where, *flags]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
