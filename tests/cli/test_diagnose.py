"""`hybridqies diagnose`: table, notes, picture, JSON, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.program import Say

from hybridqies.cli.app import BAD_INPUT, run

FLAGS = ("diagnose", "rot-ring", "--qubits", "2:4", "--vary", "layers=1,2", "--samples", "20")


def variances(row: dict[str, Any]) -> tuple[float, float]:
    return row["gradient_variance"]["value"], row["random_variance"]


def test_json_says_what_the_table_shows(say: Say, tmp_path: Path) -> None:
    picture = tmp_path / "plateau.png"
    record = json.loads(say(*FLAGS, "--json", "--picture", picture)[0])
    assert [(row["n_qubits"], row["options"]["layers"]) for row in record["rows"]] == [
        (n, layers) for layers in (1, 2) for n in (2, 3, 4)
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")
    out, err = say(*FLAGS)
    assert err == ""
    assert "rot-ring, 20 draws of its angles" in out
    for row in record["rows"]:
        value, random = (f"{each:.1e}".replace("e-0", "e-") for each in variances(row))
        assert f"{value} ({random})" in out
        assert f"{row['meyer_wallach']['value']:.3f} ({row['meyer_wallach']['random']:.3f})" in out
    assert out.count("a qubit [") == 2


def test_a_circuit_that_nothing_moves_is_named(say: Say) -> None:
    # Weights of the last layer of phases before ⟨Z⟩ do nothing; a circuit without weights has none.
    out, _ = say("diagnose", "iqp-feature-map", "--qubits", "2,3", "--samples", "4")
    assert "no weight moves observable" in out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["rot-rings"], "did you mean 'rot-ring'"),
        (["rot-ring", "--qubits", "2:8:x"], "expected a whole number, several as 2,4,8, or a rising range"),
        (["rot-ring", "--qubits", "8:2"], "a rising range"),
        (["rot-ring", "--qubits", "2:99999999"], "at most 10,000"),
        (["rot-ring", "--qubits", "2,x"], "--qubits was given '2,x'"),
        (["rot-ring", "--vary", "layers"], "expected key=values"),
        (["rot-ring", "--vary", "layers=1", "--vary", "layers=2"], "gives 'layers' twice"),
        (["rot-ring", "--vary", "layer=1"], "did you mean 'layers'"),
        (["rot-ring", "--samples", "1"], "'samples' was given 1"),
        (["rot-ring", "--readout", "7", "--qubits", "2"], "readout 7"),
        (["rot-ring", "--picture", "a.gif"], ".png, .svg, .pdf"),
        (["long-range-reupload", "--qubits", "40"], "light cone"),
    ],
)
def test_bad_input_is_one_line(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", *flags]) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
