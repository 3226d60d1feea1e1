"""`hybridqies parity`: table, files that `scale fit` reads, and refusals."""

from __future__ import annotations

import json

import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, run

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
    assert "holds a result" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tasks", "40"], "at most 7 tasks"),
        (["--widths", "8,x"], "--widths was given 'x'"),
        (["--widths", "0"], "at least one width"),
        (["--lr", "0"], "learning_rate"),
    ],
)
def test_bad_input_is_one_line(flags, said, tmp_path, capsys) -> None:
    assert run([*FLAGS, *flags, "--out", str(tmp_path / "parity")]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "parity").exists()
