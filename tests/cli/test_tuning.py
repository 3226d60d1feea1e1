"""Tuning on the command line: runs, resuming, what is exported, and arms of a study."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.program import Say

from hybridqies.cli.app import run
from hybridqies.runs import evaluate_run
from hybridqies.text import Encoder
from hybridqies.tuning import EncoderChange

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def tune(reviews: Path, tiny_encoder: Path, tmp_path: Path, say: Say) -> Callable[..., Path]:
    """Trains a run with a tuned encoder, and returns its folder."""

    def train(*flags: object, head: str = "mlp", compare: str = "none", name: str = "run") -> Path:
        folder = tmp_path / name
        given = ("--data", reviews, "--encoder", tiny_encoder, "--head", head, "--compare", compare)
        say("train", *given, "--epochs", 1, "--set", "tune.epochs=1", *flags, "--out", folder)
        return folder

    return train


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_run_with_its_encoder(tune: Callable[..., Path], tmp_path: Path, say: Say) -> None:
    """Trained through the head; the solved head beside it gets one that is tuned first."""
    folder = tune("--tune", "lora", "--layers", "query", "--set", "tune.rank=2", compare="logistic")
    result, other = read(folder / "result.json"), read(folder / "compare/logistic/result.json")
    assert (result["tuning"]["by"], other["tuning"]["by"]) == ("head", "linear")
    assert result["tuning"]["layers"] == ["query"]
    assert result["tuning"]["n_parameters"] == 2 * 2 * 32
    assert result["n_parameters"] == 2 * 2 * 32 + (32 + 1) * 48 + (48 + 1) * 2
    assert (folder / "adapter/adapter_model.safetensors").is_file()
    measured = evaluate_run(folder, None, "test")
    assert all(measured[name] == result[name] for name in ("accuracy", "log_loss", "confusion"))
    said, _ = say("export", folder, tmp_path / "encoder")
    assert "SentenceTransformer(" in said
    assert Encoder.load(tmp_path / "encoder").dimension == 32


def test_the_table_tells_which_encoder(tune: Callable[..., Path], say: Say, reviews: Path) -> None:
    from hybridqies.report import comparison_table

    folder = tune("--tune", "full", "--contrast", "pairs", head="logistic")
    table = comparison_table(read(folder / "comparison.json"))
    column = next(each for each in table.columns if each.header == "encoder")
    assert list(column.cells) == ["full, pairs"]
    assert (folder / "tuning/metrics.jsonl").is_file()
    assert (folder / "encoder.safetensors").is_file()
    told, _ = say("predict", folder, "a warm film")
    assert told


def test_a_finished_run_goes_on_with_the_tuned_encoder(tune: Callable[..., Path], say: Say) -> None:
    folder = tune("--tune", "quanta", "--set", "tune.by=linear")
    before = read(folder / "config.json")["model"]["tuning"]["sha256"]
    say("train", "--resume", "--out", folder, "--epochs", 2)
    assert read(folder / "config.json")["model"]["tuning"]["sha256"] == before
    assert read(folder / "result.json")["planned_epochs"] == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--layers", "query"), "'layers' was given, and the encoder is not tuned"),
        (("--tune", "lora", "--layers", "querry"), "unknown layer 'querry'"),
        (("--tune", "loro"), "unknown way of tuning 'loro'"),
        (
            ("--tune", "full", "--contrast", "cosine"),
            "unknown contrast 'cosine'; expected one of pairs",
        ),
        (("--tune", "full", "--contrast", "pairs", "--set", "tune.by=head"), "--contrast and --set tune.by"),
        (("--tune", "full", "--head", "svc", "--set", "tune.by=head"), "tuned by a head that is solved"),
        (("--tune", "quanta", "--set", "tune.axes=5,5"), "32"),
    ],
)
def test_bad_input(
    flags: tuple[str, ...],
    message: str,
    reviews: Path,
    tiny_encoder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--data", str(reviews), "--encoder", str(tiny_encoder), "--head", "mlp", "--compare", "none"]
    assert run(["train", *given, *flags, "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


def test_an_encoder_that_was_not_tuned_is_not_exported(
    reviews: Path, tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [
        "--data",
        str(reviews),
        "--encoder",
        str(tiny_encoder),
        "--head",
        "logistic",
        "--compare",
        "none",
    ]
    assert run(["train", *flags, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert run(["export", str(tmp_path / "run"), str(tmp_path / "encoder")]) == 2
    assert "was not tuned" in capsys.readouterr().err


def test_arms_of_a_study(
    reviews: Path, tiny_encoder: Path, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path / "cache"))
    arms = "logistic,logistic+lora,dressed+lora/linear,dressed+lora"
    given = ("--data", reviews, "--per-class", 20, "--encoder", tiny_encoder, "--qubits", 2, "--seeds", 2)
    epochs = [("--set", f"training.epochs={1}")]
    epochs += [("--set", f"{arm}.tune.epochs=1") for arm in arms.split(",")[1:]]
    flags = [word for each in epochs for word in each]
    told, _ = say("sweep", *given, "--arms", arms, *flags, "--json", "--out", tmp_path / "study")
    cells = {cell["arm"]: cell for cell in json.loads(told)["cells"]}
    assert list(cells) == arms.split(",")
    tuned = 2 * 8 * (32 + 32)
    assert cells["logistic+lora"]["n_parameters"] == [tuned + cells["logistic"]["n_parameters"][0]]
    assert cells["dressed+lora"]["n_parameters"] == cells["dressed+lora/linear"]["n_parameters"]
    assert not any(cell["errors"] for cell in cells.values())
    # Heads whose encoder is tuned alike and first share it.
    assert len(list(tmp_path.glob("cache/tuned/*.safetensors"))) == 2


def test_the_time_of_tuning_counts_for_every_arm_that_uses_it(
    reviews: Path, tiny_encoder: Path, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one that is trained alone, and for one whose seeds are trained in a stack."""
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path / "cache"))
    spent = 1000.0
    change = EncoderChange.of
    monkeypatch.setattr(EncoderChange, "of", lambda encoder, seconds=0.0: change(encoder, seconds and spent))
    arms = "logistic+lora,dressed+lora/linear"
    given = ("--data", reviews, "--per-class", 20, "--encoder", tiny_encoder, "--qubits", 2, "--seeds", 2)
    own = ("--set", "training.epochs=1", "--set", "dressed+lora/linear.tune.epochs=1")
    flags = (*own, "--set", "logistic+lora.tune.epochs=1")
    say("sweep", *given, "--arms", "dressed+lora/linear", *own, "--out", tmp_path / "first")
    told, _ = say("sweep", *given, "--arms", arms, *flags, "--json", "--out", tmp_path / "study")
    cells = {cell["arm"]: cell for cell in json.loads(told)["cells"]}
    assert all(cell["seconds"]["mean"] >= spent for cell in cells.values())
