"""`hybridqies cost`: table, notes, picture, JSON, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, run

FLAGS = ("cost", "rot-ring", "--qubits", "10:50:10")


def test_json_says_what_the_table_shows(say: Say, tmp_path: Path) -> None:
    picture = tmp_path / "energy.png"
    record = json.loads(say(*FLAGS, "--json", "--picture", picture)[0])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [row["n_qubits"] for row in record["rows"]] == [10, 20, 30, 40, 50]
    for row in record["rows"]:
        assert row["gpu_interval"][0] < row["gpu"] < row["gpu_interval"][1]
        assert row["qpu_interval"][0] < row["qpu"] < row["qpu_interval"][1]
    found = record["crossover"]
    assert found["low"] < found["value"] < found["high"]
    assert all(constant["source"] for constant in record["constants"].values())
    out, err = say(*FLAGS)
    assert err == ""
    shown = "needs more energy: {value:.1f} [{low:.1f}, {high:.1f}] (90 %)".format(**found)
    assert shown in out
    assert "46 (arXiv:2504.08732, estimated); 34 (arXiv:2605.02798, measured)" in out


def test_gradients_shots_and_constants_count(say: Say) -> None:
    one = json.loads(say(*FLAGS, "--json")[0])["rows"][0]
    both = json.loads(say(*FLAGS, "--gradients", "--json")[0])["rows"][0]
    assert both["circuits"] == 2 * both["n_weights"] + 1
    assert both["qpu"] == pytest.approx(both["circuits"] * one["qpu"])
    more = json.loads(say(*FLAGS, "--shots", "4000", "--constant", "qpu_watts=6000", "--json")[0])["rows"][0]
    assert more["qpu"] == pytest.approx(8 * one["qpu"])


def test_outside_of_the_sizes(say: Say) -> None:
    assert (
        "needs more energy: above 12 [above 12, above 12]" in say("cost", "rot-ring", "--qubits", "10,12")[0]
    )
    assert (
        "needs more energy: below 60 [below 60, below 60]" in say("cost", "rot-ring", "--qubits", "60,62")[0]
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["rot-rings"], "did you mean 'rot-ring'"),
        (["rot-ring", "--qubits", "8:2"], "a rising range"),
        (["rot-ring", "--shots", "0"], "0 shots"),
        (["rot-ring", "--qubits", "1100"], "at most 500"),
        (["rot-ring", "--constant", "qpu_watts"], "expected NAME=VALUE"),
        (["rot-ring", "--constant", "qpu_watt=1"], "did you mean 'qpu_watts'"),
        (["rot-ring", "--constant", "qpu_watts=-1"], "positive numbers"),
        (["rot-ring", "--set", "layer=1"], "did you mean 'layers'"),
        (["rot-ring", "--picture", "a.gif"], ".png, .svg, .pdf"),
    ],
)
def test_bad_input(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cost", *flags]) == BAD_INPUT
    assert said in capsys.readouterr().err
