"""`hybridqies parity`: table, files that `scale fit` reads, and refusals."""

from __future__ import annotations

import json

import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, INTERRUPTED, run
from hybridqies.parity import train_parity_net

FLAGS = ("parity", "--tasks", "4", "--bits", "6", "--relevant", "2", "--steps", "20", "--batch-size", "20")


def test_table_files_and_no_second_run(say: Say, tmp_path, capsys) -> None:
    out = tmp_path / "parity"
    shown = say(*FLAGS, "--widths", "4,8", "--samples", "40", "--out", out)[0]
    record = json.loads((out / "parity.json").read_text(encoding="utf-8"))
    assert [net["parameters"] for net in record["nets"]] == [54, 106, 106]
    assert all(f"{net['loss']:.3f}" in shown for net in record["nets"])
    lines = (out / "losses.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "arm,size,tokens,loss"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["parameters", "54", "400"],
        ["parameters", "106", "400"],
        ["samples", "106", "40"],
    ]
    assert (out / "parity.png").read_bytes().startswith(b"\x89PNG")
    assert run([*FLAGS, "--out", str(out)]) == BAD_INPUT
    assert "is there already" in capsys.readouterr().err
    assert say("parity", "--resume", "--out", out)[0] == shown
    assert json.loads((out / "parity.json").read_text(encoding="utf-8")) == record


def test_an_interrupt_says_how_to_go_on(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    out, train = tmp_path / "parity", train_parity_net

    def stop(problem, width, *given, **options):
        if width == 8:
            raise KeyboardInterrupt
        return train(problem, width, *given, **options)

    monkeypatch.setattr("hybridqies.parity.scaling.train_parity_net", stop)
    assert run([*FLAGS, "--widths", "4,8", "--out", str(out)]) == INTERRUPTED
    assert f"hybridqies parity --resume --out {out}" in capsys.readouterr().err
    assert not (out / "losses.csv").exists()
    monkeypatch.undo()
    assert run(["parity", "--resume", "--out", str(out), "--json"]) == 0
    assert [net["width"] for net in json.loads(capsys.readouterr().out)["nets"]] == [4, 8]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tasks", "40"], "at most 7 tasks"),
        (["--widths", "8,x"], "--widths was given 'x'"),
        (["--widths", "0"], "at least one width"),
        (["--lr", "0"], "learning_rate"),
        (["--resume"], "--resume was given together with --batch-size"),
    ],
)
def test_bad_input_is_one_line(flags, said, tmp_path, capsys) -> None:
    assert run([*FLAGS, *flags, "--out", str(tmp_path / "parity")]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "parity").exists()
