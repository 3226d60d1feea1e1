"""`hybridqies lattice`: table, pictures, JSON, and resuming."""

from __future__ import annotations

import json

import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, INTERRUPTED, run
from hybridqies.study import lattice_scan

FLAGS = ("lattice", "--device", "square:2x3", "--theta", "0.3,0.6", "--steps", "4", "--chi", "2,16")


def test_json_then_resumed_as_a_table(say: Say, tmp_path) -> None:
    folder = tmp_path / "scan"
    result = json.loads(say(*FLAGS, "--out", folder, "--json")[0])
    assert [row["chi"] for row in result["rows"]] == [2, 16, 2, 16]
    assert all(len(row["values"]) == 6 for row in result["rows"])
    out, err = say("lattice", "--resume", "--out", folder)
    assert "square:2x3: 6 sites, 7 edges" in out
    assert all(f"{row['site']:.9f}" in out for row in result["rows"])
    # Both small bonds in the table; bonds of 16 discard nothing, so that no line below it warns.
    assert out.count("not converged") == 2
    assert "points.jsonl, lattice.json, curves.png, map.png" in out
    assert err == ""
    for name in ("curves.png", "map.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_twenty_steps_are_marked_and_warned_of(say: Say, tmp_path) -> None:
    flags = ("lattice", "--device", "eagle", "--theta", "0.6", "--steps", "20", "--chi", "2,4")
    out, _ = say(*flags, "--out", tmp_path / "scan")
    assert out.count("not converged") == 3  # each row, and the line below
    rows = json.loads((tmp_path / "scan" / "lattice.json").read_text())["rows"]
    assert abs(rows[1]["discarded"] - 2.77) < 0.05
    assert rows[1]["drift"] > 0.05


def test_an_interrupt_says_how_to_go_on(tmp_path, monkeypatch, capsys) -> None:
    run_point = lattice_scan._Runner.run
    calls: list[int] = []

    def interrupted(self, point):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_point(self, point)

    monkeypatch.setattr(lattice_scan._Runner, "run", interrupted)
    out = tmp_path / "my scan"
    assert run([*FLAGS, "--out", str(out)]) == INTERRUPTED
    assert f"continue with: hybridqies lattice --resume --out '{out}'" in capsys.readouterr().err
    assert len(lattice_scan.PointJournal(out).state().records) == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--device", "eagel"], "did you mean 'eagle'"),
        (["--device", "heavy-hex:128"], "did you mean '127'"),
        (["--chi", "8,x"], "--chi was given 'x'"),
        (["--site", "6", "--device", "square:2x3"], "expected 0 to 5"),
        (["--resume"], "holds no scan"),
        (["--resume", "--steps", "5"], "--resume was given together with --steps"),
    ],
)
def test_bad_input_is_one_line(flags, said, tmp_path, capsys) -> None:
    assert run(["lattice", *flags, "--out", str(tmp_path / "scan")]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "scan").exists()
