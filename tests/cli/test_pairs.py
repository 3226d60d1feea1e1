"""Pairs of texts from one end of the command line to the other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.program import Say

from hybridqies.cli.app import run
from hybridqies.records import read_record
from hybridqies.tensors import load_tensors

pytestmark = pytest.mark.usefixtures("own_cache")
Sentences = Callable[[int], tuple[list[str], list[str]]]


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the program, expects exit code 2, and gives the one line about it."""

    def call(*arguments: object) -> str:
        assert run([str(argument) for argument in arguments]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        return line

    return call


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, sentences: Sentences) -> Path:
    """A CSV file of 60 pairs, whose second texts stand in a column `other`."""
    texts, labels = sentences(120)
    rows = zip(texts[:60], texts[60:], labels[:60], strict=True)
    file = tmp_path_factory.mktemp("data") / "pairs.csv"
    file.write_text(
        "other,text,label\n" + "".join(f"{second},{first},{label}\n" for first, second, label in rows)
    )
    return file


@pytest.fixture(scope="module")
def usual(pairs: Path) -> Path:
    """The same file with the usual name of the column."""
    file = pairs.with_name("usual.csv")
    file.write_text(pairs.read_text().replace("other,", "text_pair,", 1))
    return file


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, pairs: Path, tiny_encoder: Path, cache_folder: Path
) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pairs"
    flags = [
        "--pair-column",
        "other",
        "--head",
        "dressed",
        "--qubits",
        "2",
        "--epochs",
        "2",
        "--compare",
        "logistic",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDQIES_CACHE", str(cache_folder))
        code = run(
            ["train", "--data", str(pairs), "--encoder", str(tiny_encoder), "--out", str(folder), *flags]
        )
    assert code == 0
    return folder


def test_training_says_and_records_it(
    trained: Path, say: Say, usual: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    config = read_record(trained / "config.json")
    assert config["run"]["data"]["pair_column"] == "other"
    assert (config["model"]["pairs"], config["model"]["n_inputs"]) == (True, 128)
    assert read_record(trained / "result.json")["pairs"] is True
    flags = ("--encoder", tiny_encoder, "--head", "logistic", "--compare", "none", "--out", tmp_path / "run")
    out, _ = say("train", "--data", usual, *flags)
    assert out.splitlines()[0].strip() == "usual (pairs of texts): 39 train, 9 validation, 12 test"


def test_single_texts_of_a_file_with_pairs(say: Say, usual: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    flags = ("--encoder", tiny_encoder, "--head", "logistic", "--compare", "none", "--out", tmp_path / "run")
    out, _ = say("train", "--data", usual, "--pair-column", "none", *flags)
    assert "(pairs of texts)" not in out
    assert read_record(tmp_path / "run" / "config.json")["model"]["pairs"] is False
    header = say("predict", tmp_path / "run", "--file", usual)[0].splitlines()[0]
    assert header == "text_pair,given_label,text,label,p_bad,p_good"


def test_evaluation_reads_the_columns_of_training(
    say: Say, trained: Path, pairs: Path, tmp_path: Path
) -> None:
    own = json.loads(say("evaluate", trained, "--json")[0])
    assert own == json.loads(say("evaluate", trained, "--data", pairs, "--json")[0])
    assert (own["pairs"], own["n_test"], own["overlap"]) == (True, 12, 0)
    assert "pairs of texts" in say("evaluate", trained)[0]
    copy = tmp_path / "copy.csv"
    copy.write_text(pairs.read_text())
    measured = json.loads(say("evaluate", trained, "--data", copy, "--json")[0])
    assert (measured["n_test"], measured["overlap"]) == (60, 39)


def test_prediction_of_a_file(say: Say, trained: Path, pairs: Path) -> None:
    header, *rows = csv.reader(io.StringIO(say("predict", trained, "--file", pairs)[0]))
    assert header == ["given_label", "text", "text_pair", "label", "p_bad", "p_good"]
    given = list(csv.DictReader(pairs.open(encoding="utf-8")))
    assert [row[:3] for row in rows] == [[each["label"], each["text"], each["other"]] for each in given]
    lines = say("predict", trained, "--file", pairs, "--json")[0].splitlines()
    assert json.loads(lines[0])["text_pair"] == given[0]["other"]


def test_prediction_of_words(say: Say, trained: Path, pairs: Path) -> None:
    first = next(csv.DictReader(pairs.open(encoding="utf-8")))
    words = (first["text"], "the sea", "--pair", first["other"], "--pair", "old friends")
    rows = list(csv.DictReader(io.StringIO(say("predict", trained, *words)[0])))
    assert [(row["text"], row["text_pair"]) for row in rows][1] == ("the sea", "old friends")
    whole = next(csv.DictReader(io.StringIO(say("predict", trained, "--file", pairs)[0])))
    assert float(rows[0]["p_bad"]) == pytest.approx(float(whole["p_bad"]), abs=2e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("the sea",), "single texts were given to a model of pairs of texts"),
        (("the sea", "--pair", "a", "--pair", "b"), "1 texts and 2 second texts (--pair) were given"),
        (("--pair", "a"), "0 texts and 1 second texts"),
        (("the sea", "--pair", " "), "pair 1 of 1: the second text is empty"),
        (("the sea", "--pair-column", "other"), "--pair-column was given without --file"),
        (
            ("the sea", "--dry-run", "--backend", "aer,shots=8"),
            "single texts were given to a model of",
        ),
    ],
)
def test_words_are_refused(
    words: tuple[str, ...], said: str, trained: Path, refuse: Callable[..., str]
) -> None:
    assert said in refuse("predict", trained, *words)


def test_files_are_refused(trained: Path, usual: Path, reviews: Path, refuse: Callable[..., str]) -> None:
    assert "no column 'other'" in refuse("predict", trained, "--file", usual)
    assert "single texts were given" in refuse("predict", trained, "--file", usual, "--pair-column", "none")
    assert "no column 'other'" in refuse("evaluate", trained, "--data", reviews)
    assert "single texts were given" in refuse(
        "evaluate", trained, "--data", reviews, "--pair-column", "none"
    )
    assert "no column 'othr'; expected" in refuse("train", "--data", usual, "--pair-column", "othr")


def test_embeddings(say: Say, usual: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    out, _ = say("encode", "--data", usual, "--encoder", tiny_encoder, "--out", tmp_path / "e.safetensors")
    assert out.startswith("60 pairs of texts, 128 numbers each, by ")
    rows = load_tensors(tmp_path / "e.safetensors")[0]["train"]
    assert rows.shape == (60, 128)
    first, second, distance, product = rows.split(32, dim=1)
    assert distance.equal((first - second).abs())
    assert product.equal(first * second)


def test_a_study(say: Say, pairs: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    flags = ("--data", pairs, "--encoder", tiny_encoder, "--pair-column", "other", "--per-class", 15)
    kind = ("--arms", "dressed,logistic", "--qubits", 2, "--seeds", 2, "--set", "training.epochs=2")
    out, _ = say("sweep", *flags, *kind, "--out", tmp_path / "sweep")
    assert "pairs (pairs of texts): 2 seeds" in out
    assert 'pair_column = "other"' in (tmp_path / "sweep" / "study.toml").read_text()
    result = read_record(tmp_path / "sweep" / "study.json")
    assert (result["done"], result["failed"]) == (4, 0)
