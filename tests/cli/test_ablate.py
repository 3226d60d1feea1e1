"""`hybridqies ablate`: from texts to what each module is worth, resumed, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybridqies.cli.app import run
from hybridqies.records import read_record

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def flags(reviews: Path, tiny_encoder: Path) -> list[str]:
    given = ["ablate", "--data", str(reviews), "--encoder", str(tiny_encoder), "--per-class", "20"]
    given += ["--qubits", "3", "--seeds", "2", "--set", "training.epochs=2", "--set", "two-module.encoders=2"]
    return [*given, "--set", "two-module.encoder.layers=2"]


def test_the_whole_way(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ablate"
    assert run([*flags, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for told in ("whole head", "encoder untrained", "no PQC 2", "2 seeds cannot show any difference"):
        assert told in printed
    assert {path.name for path in out.iterdir()} == {
        "study.toml", "trials.jsonl", "trials.lock", "study.json", "ablate.png",
    }  # fmt: skip
    first = read_record(out / "study.json")
    assert (first["trials"], first["done"], first["failed"]) == (14, 14, 0)
    counts = {cell["label"]: cell["n_parameters"][0] for cell in first["cells"]}
    assert counts["readout untrained"] == counts["whole head"] - 4
    assert run(["ablate", "--resume", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_printed_toml_is_the_study(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*flags, "--modules", "encoder,readout", "--print-toml"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "study.toml").write_text(printed)
    assert run(["ablate", str(tmp_path / "study.toml"), "--print-toml"]) == 0
    assert capsys.readouterr().out == printed
    assert run(["sweep", str(tmp_path / "study.toml")]) == 2
    assert "use: hybridqies ablate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--modules", "encoders"], "did you mean 'encoder'"),
        (["--set", "svc.C=1"], "or ARM.KEY=VALUE for one of two-module"),
        (["--set", "two-module.reuploads=1"], "'re-upload' is off in the whole head already"),
        (["--set", "two-module.circuit=iqp"], "expected the recipes of the paper's head"),
        (["--resume"], "--resume was given together with --data"),
        (["--retry-failed"], "--retry-failed was given without --resume"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    given: list[str], told: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ablate"
    assert run([*flags, *given, "--out", str(out)]) == 2
    complaint = capsys.readouterr().err
    assert told in complaint
    assert complaint.count("\n") == 1
    assert not out.exists()
