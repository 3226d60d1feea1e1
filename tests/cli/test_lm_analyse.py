"""`hybridqies lm analyse`: a record, tables and pictures of a run, and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from cli.program import Say
from rich.console import Console

from hybridqies.analysis import Replacement
from hybridqies.cli.app import run
from hybridqies.language_model import LanguageModel
from hybridqies.lm import Decoder, measure_entanglement
from hybridqies.records import read_record
from hybridqies.report.language_analysis import analysis_tables
from hybridqies.runs.language_analysis import analyse_language_model

TEXT = "the cat sat on a mat. a dog ate the rat! what did the cat see? " * 30


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def save_model(folder: Path, arm: str) -> LanguageModel:
    settings = {"width": 16, "n_layers": 1, "rank": 2}
    training = {"epochs": 1, "seed": 3, "learning_rate": 0.01}
    model = LanguageModel(
        arm=arm, size="3k", context=32, n_tokens=2000, settings=settings, training=training
    ).fit(TEXT)
    model.save_pretrained(folder)
    return model


def test_everything_is_recorded_shown_and_drawn(tmp_path, text, say: Say) -> None:
    model = save_model(tmp_path / "model", "entangled")
    given = ("lm", "analyse", tmp_path / "model", "--text", text, "--windows", 6)
    shown, _ = say(*given)
    for words in ("von Neumann", "block 1, t − 16", "Change of loss", "sentence_2.png"):
        assert words in shown
    folder = tmp_path / "model" / "analysis"
    record = read_record(folder / "analysis.json")
    assert {path.name for path in folder.iterdir()} == {
        "analysis.json",
        "ablation.png",
        "correlation.png",
        "entanglement.png",
        "sentence_1.png",
        "sentence_2.png",
    }
    windows = model.windows(TEXT)[:6]
    untrained = Decoder(model.decoder.config, seed=3)
    for name, decoder in (("trained", model.decoder), ("untrained", untrained)):
        rows = [row.to_mapping() for row in measure_entanglement(decoder, windows)]
        assert record[name]["entanglement"] == rows
        assert len(record[name]["correlation"]) == 1 + 5
        assert [len(levels) for levels in record[name]["by_position"]] == [32] * 5
    assert record["untrained"]["entanglement"] != record["trained"]["entanglement"]
    assert len(record["ablation"]) == 2 * 6
    sentences = ["".join(each["tokens"]) for each in record["sentences"]]
    assert sentences == ["the cat sat on a mat.", "a dog ate the rat!"]
    again = analyse_language_model(
        tmp_path / "model",
        tmp_path / "out",
        text=str(text),
        n_windows=6,
        sentences=["a rat sat"],
        replacement=Replacement.ZERO,
    )
    assert again["sentences"][0]["tokens"] == list("a rat sat")
    assert again["ablation"] != record["ablation"]
    assert again["trained"] == record["trained"]


def test_a_tap_has_ablations_alone_and_products_do_not_vary(tmp_path, text, say: Say) -> None:
    save_model(tmp_path / "tap", "tap")
    record = json.loads(say("lm", "analyse", tmp_path / "tap", "--text", text, "--json")[0])
    assert "trained" not in record
    assert record["sentences"] == []
    assert [path.name for path in (tmp_path / "tap" / "analysis").glob("*.png")] == ["ablation.png"]
    save_model(tmp_path / "product", "product")
    record = analyse_language_model(tmp_path / "product", tmp_path / "out", text=str(text))
    assert {row["r"] for row in record["trained"]["correlation"]} == {None}
    shown = io.StringIO()
    console = Console(file=shown)
    console.print(*analysis_tables(record))
    assert "does not vary" in shown.getvalue()


def test_what_cannot_be_analysed_is_one_line(tmp_path, text, capsys) -> None:
    for arm in ("real", "tap", "entangled"):
        save_model(tmp_path / arm, arm)
    short = tmp_path / "short.txt"
    short.write_text(TEXT[:40], encoding="utf-8")
    for arm, flags, said in (
        ("real", ["--text", text], "no mixing layers"),
        ("tap", ["--text", text, "--sentence", "a cat"], "an arm with gates"),
        ("entangled", ["--text", short], "at least 2"),
        ("entangled", ["--text", text, "--windows", "-1"], "--windows"),
        ("entangled", ["--text", text, "--sentence", "a cat " * 9], "2 to 32"),
        ("entangled", ["--text", text, "--replacement", "means"], "did you mean 'mean'"),
        ("entangled", [], "no run"),
    ):
        assert run(["lm", "analyse", str(tmp_path / arm), *map(str, flags)]) == 2
        complaint = capsys.readouterr().err
        assert said in complaint
        assert complaint.count("\n") == 1
        assert not (tmp_path / arm / "analysis").exists()
