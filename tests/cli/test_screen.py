"""`hybridqies screen`: from texts to a table of effects, resumed, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybridqies.cli.app import run
from hybridqies.records import read_record

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def flags(reviews: Path, tiny_encoder: Path) -> list[str]:
    given = ["screen", "--data", str(reviews), "--encoder", str(tiny_encoder), "--per-class", "20"]
    given += ["--seeds", "2", "--set", "training.epochs=3", "--set", "two-module.encoders=2"]
    return [*given, "--set", "two-module.encoder.layers=2"]


@pytest.fixture
def factors() -> list[str]:
    given = ["--factor", "n_qubits=3,4", "--factor", "training.learning_rate=0.0001,0.1"]
    return [*given, "--factor", "backend.shots=none,64"]


def test_the_whole_way(
    flags: list[str], factors: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "screen"
    assert run([*flags, *factors, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for told in ("n_qubits", "backend.shots", "Plackett-Burman design, 3 factors in 4 runs", "no test set"):
        assert told in printed
    assert {path.name for path in out.iterdir()} == {
        "study.toml", "trials.jsonl", "trials.lock", "study.json", "screen.png",
    }  # fmt: skip
    first = read_record(out / "study.json")
    assert (first["trials"], first["done"], first["failed"]) == (8, 8, 0)
    assert {each["name"] for each in first["screening"]["effects"]} == set(
        first["plan"]["factors"]
    ) == {"n_qubits", "training.learning_rate", "backend.shots"}  # fmt: skip
    assert '"accuracy":' not in (out / "study.json").read_text()
    assert run(["screen", "--resume", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_printed_toml_is_the_study(
    flags: list[str], factors: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*flags, *factors, "--design", "resolution-3", "--print-toml"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "study.toml").write_text(printed)
    assert run(["screen", str(tmp_path / "study.toml"), "--print-toml"]) == 0
    assert capsys.readouterr().out == printed
    assert run(["ablate", str(tmp_path / "study.toml")]) == 2
    assert "use: hybridqies screen" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--factor", "layers"], "--factor was given 'layers'; expected key=low,high"),
        (["--factor", "layers=1,2", "--factor", "layers=1,3"], "--factor gives 'layers' twice"),
        (["--factor", "layers=1,2"], "expected two or more, each once"),
        (["--factor", "layers=1,2", "--factor", "reupload=1,2"], "did you mean 'reuploads'"),
        (["--factor", "layers=1,2", "--factor", "n_qubits=2,4", "--qubits", "3"], "n_qubits is a factor"),
        (
            ["--factor", "layers=1,2", "--factor", "encoders=2,4"],
            "'encoders' was also given as a fixed setting",
        ),
        (["--design", "taguchi"], "unknown value for --design: 'taguchi'"),
        (["--arm", "two-modul"], "did you mean 'two-module'"),
        (["--resume"], "--resume was given together with --data"),
        (["--retry-failed"], "--retry-failed was given without --resume"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    given: list[str], told: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "screen"
    assert run([*flags, *given, "--out", str(out)]) == 2
    complaint = capsys.readouterr().err
    assert told in complaint
    assert complaint.count("\n") == 1
    assert not out.exists()
