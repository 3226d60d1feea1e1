"""Every command does its job and prints what a person or a machine can read."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.program import Say

from hybridqies.circuit import load_circuit, to_openqasm3
from hybridqies.cli.app import run
from hybridqies.records import read_record

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, reviews: Path, tiny_encoder: Path, cache_folder: Path
) -> Path:
    """The folder of one finished run with two more heads beside it."""
    folder = tmp_path_factory.mktemp("runs") / "reviews"
    flags = [
        "--qubits",
        "4",
        "--epochs",
        "3",
        "--compare",
        "logistic,matched-mlp",
        "--set",
        "encoder.layers=2",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDQIES_CACHE", str(cache_folder))
        code = run(
            ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(folder), *flags]
        )
    assert code == 0
    return folder


@pytest.mark.parametrize("tuning", [(), ("--tune", "full", "--set", "tune.epochs=1")])
def test_texts_that_are_cut_are_warned_of_once(
    tuning: tuple[str, ...], say: Say, reviews: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    rows = reviews.read_text().splitlines()
    longer = [rows[0], *(f"{'sea ' * 40}{row}" if at % 10 == 0 else row for at, row in enumerate(rows[1:]))]
    data = tmp_path / "long.csv"
    data.write_text("\n".join(longer) + "\n")
    out = tmp_path / "run"
    flags = ("--encoder", tiny_encoder, "--head", "mlp", *tuning, "--epochs", 1)
    _, told = say("train", "--data", data, *flags, "--compare", "logistic", "--out", out)
    assert told.count("12 of 120 different texts have more than the 32 tokens that encoder ") == 1
    assert told.count("different texts") == 1
    _, told = say("predict", out, "sea " * 40, "cold")
    assert told == (
        "hybridqies: warning: 1 of 2 different texts have more than the 32 tokens that encoder "
        f"{str(tiny_encoder)!r} reads; what follows in them is ignored\n"
    )


class TestTrain:
    def test_the_folder(self, trained: Path) -> None:
        assert {path.name for path in trained.iterdir()} == {
            "circuit.png",
            "circuit.txt",
            "compare",
            "comparison.json",
            "config.json",
            "confusion_matrix.png",
            "cost.json",
            "checkpoint.safetensors",
            "encoder_circuit.png",
            "encoder_circuit.txt",
            "metrics.jsonl",
            "mistakes.json",
            "model.safetensors",
            "result.json",
            "trained_on.json",
            "training_curve.png",
        }
        assert {path.name for path in (trained / "compare").iterdir()} == {"logistic", "matched-mlp"}
        assert len((trained / "metrics.jsonl").read_text().splitlines()) == 3

    def test_the_result(self, trained: Path) -> None:
        result = json.loads((trained / "result.json").read_text())
        assert {
            "accuracy",
            "macro_f1",
            "validation_accuracy",
            "n_parameters",
            "n_test",
            "seed",
            "head",
            "circuit",
            "backend",
            "seconds",
        } <= set(result)
        assert result["head"] == "two-module"
        assert result["circuit"] == "long-range-reupload"
        assert result["backend"] == "statevector"
        assert (result["seed"], result["n_test"], result["n_qubits"]) == (0, 24, 4)
        assert sum(map(sum, result["confusion"])) == 24

    def test_the_table_and_the_flags(
        self, say: Say, reviews: Path, tiny_encoder: Path, tmp_path: Path
    ) -> None:
        out, err = say(
            *("train", "--data", reviews, "--encoder", tiny_encoder, "--head", "dressed", "--circuit", "iqp"),
            *("--qubits", 3, "--set", "pairs=ring", "--set", "spread=1"),
            *("--set", "training.weight_decay=0.5"),
            *("--seed", 5, "--per-class", 20, "--epochs", 2, "--batch-size", 8, "--lr", 0.02),
            *("--compare", "logistic", "--out", tmp_path / "run"),
        )
        lines = out.splitlines()
        assert err == ""
        assert lines[0].strip() == "reviews: 34 train, 6 validation, 80 test"
        assert any("dressed (iqp, 3 qubits)" in line for line in lines)
        assert any(line.startswith("│ logistic ") for line in lines)
        assert max(map(len, lines[:-1])) <= 120
        assert (
            lines[-1]
            == f"Saved in {tmp_path / 'run'}/: model, config, metrics, result, cost, comparison, pictures."
        )
        config = json.loads((tmp_path / "run" / "config.json").read_text())
        assert config["model"]["options"]["circuit_options"] == {"pairs": "ring"}
        assert config["model"]["options"]["spread"] == 1.0
        training = config["model"]["training"]
        assert (training["seed"], training["epochs"], training["batch_size"]) == (5, 2, 8)
        assert (training["learning_rate"], training["weight_decay"]) == (0.02, 0.5)
        result = json.loads((tmp_path / "run" / "result.json").read_text())
        assert (result["seed"], result["n_train"], result["n_validation"], result["n_test"]) == (5, 34, 6, 80)

    def test_json(self, say: Say, reviews: Path, tiny_encoder: Path, tmp_path: Path) -> None:
        flags = (
            "train",
            "--data",
            reviews,
            "--encoder",
            tiny_encoder,
            "--head",
            "logistic",
            "--compare",
            "none",
        )
        out, _ = say(*flags, "--out", tmp_path / "run", "--json")
        assert json.loads(out) == read_record(tmp_path / "run" / "result.json")
        again, _ = say(*flags, "--out", tmp_path / "run", "--json", "--overwrite")
        assert without_time(json.loads(again)) == without_time(json.loads(out))

    def test_a_finished_run_resumes_to_itself(self, say: Say, trained: Path) -> None:
        before = {path: path.read_bytes() for path in trained.rglob("*.json")}
        out, told = say("train", "--resume", "--out", trained)
        assert told.startswith("hybridqies: nothing was trained: this run had finished; give more --epochs")
        assert told.count("\n") == 1
        assert "two-module (long-range-reupload, 4 qubits)" in out
        assert {path: path.read_bytes() for path in trained.rglob("*.json")} == before

    def test_integer_labels_and_other_columns(self, say: Say, tiny_encoder: Path, tmp_path: Path) -> None:
        for split, rows in (("train", 24), ("validation", 8), ("test", 8)):
            lines = [json.dumps({"s": f"{'sea ' * (n + 1)}winter", "y": n % 3}) for n in range(rows)]
            (tmp_path / "data").mkdir(exist_ok=True)
            (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(lines))
        flags = ("--text-column", "s", "--label-column", "y", "--head", "logistic", "--compare", "none")
        out, _ = say(
            *("train", "--data", tmp_path / "data", "--encoder", tiny_encoder, "--out", tmp_path / "run"),
            *(*flags, "--json"),
        )
        result = json.loads(out)
        assert result["classes"] == [0, 1, 2]
        assert (result["n_train"], result["n_validation"], result["n_test"]) == (24, 8, 8)


def without_time(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "seconds"}


class TestEvaluate:
    def test_the_runs_own_test_split(self, say: Say, trained: Path) -> None:
        out, _ = say("evaluate", trained, "--json")
        record, result = json.loads(out), json.loads((trained / "result.json").read_text())
        for name in (
            "accuracy",
            "macro_f1",
            "log_loss",
            "calibration_error",
            "n_test",
            "confusion",
            "per_class",
            "classes",
        ):
            assert record[name] == result[name]
        assert (record["split"], record["data"], record["backend"]) == ("test", "reviews", "statevector")

    def test_other_data(self, say: Say, trained: Path, reviews: Path, tmp_path: Path) -> None:
        copy = tmp_path / "copy.csv"
        copy.write_bytes(reviews.read_bytes())
        out, _ = say("evaluate", trained, "--data", copy, "--split", "test", "--json")
        assert json.loads(out)["n_test"] == 120

    def test_the_data_it_was_trained_on_keeps_its_splits(
        self, say: Say, trained: Path, reviews: Path
    ) -> None:
        own, _ = say("evaluate", trained, "--json")
        again, _ = say("evaluate", trained, "--data", reviews, "--split", "test", "--json")
        assert json.loads(again) == json.loads(own)

    def test_the_tables(self, say: Say, trained: Path) -> None:
        out, err = say("evaluate", trained / "compare" / "logistic", "--split", "validation")
        assert err == ""
        for part in (
            "reviews / validation",
            "accuracy",
            "macro f1",
            "log loss",
            "calibration error",
            "Confusion",
        ):
            assert part in out


class TestPredict:
    def test_arguments_to_csv(self, say: Say, trained: Path) -> None:
        out, err = say("predict", trained, "a lovely, bright film", 'the "dull" sea')
        header, *rows = csv.reader(io.StringIO(out))
        assert err == ""
        assert header == ["text", "label", "p_bad", "p_good"]
        assert [row[0] for row in rows] == ["a lovely, bright film", 'the "dull" sea']
        for row in rows:
            assert row[1] == ("bad" if float(row[2]) > float(row[3]) else "good")
            assert float(row[2]) + float(row[3]) == pytest.approx(1, abs=2e-6)

    def test_formulas_become_text_when_asked(self, say: Say, trained: Path) -> None:
        texts = ("=1+1", "-2 stars", "plain")
        for flags, shown in (((), texts), (("--spreadsheet-safe",), ("'=1+1", "'-2 stars", "plain"))):
            out, _ = say("predict", trained, *flags, "--", *texts)
            assert tuple(row[0] for row in list(csv.reader(io.StringIO(out)))[1:]) == shown

    @pytest.mark.parametrize("flags", [("--json",), ("--format", "jsonl")])
    def test_jsonl(self, flags: tuple[str, ...], say: Say, trained: Path) -> None:
        out, _ = say("predict", trained, "eine schöne film", *flags)
        (record,) = (json.loads(line) for line in out.splitlines())
        assert record["text"] == "eine schöne film"
        assert set(record["probabilities"]) == {"bad", "good"}
        assert record["label"] == max(record["probabilities"], key=record["probabilities"].get)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("t.txt", "the sea\r\nold friends\r\n\n \n"),
            ("t.csv", "id,text\n1,the sea\n2,old friends\n"),
            ("t.tsv", "text\tlabel\nthe sea\t\nold friends\t\n"),
            ("t.jsonl", '{"text": "the sea"}\n{"text": "old friends", "more": 1}\n'),
            ("t.json", '[{"text": "the sea"}, {"text": "old friends"}]'),
        ],
    )
    def test_files(self, name: str, content: str, say: Say, trained: Path, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content.encode())
        out, _ = say("predict", trained, "--file", tmp_path / name, "--json")
        assert [json.loads(line)["text"] for line in out.splitlines()] == ["the sea", "old friends"]

    def test_columns_of_the_file_stand_before_the_prediction(
        self, say: Say, trained: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "t.csv").write_text("id;text;label\n=7;the sea;good\n8;old friends;\n", "utf-8")
        out, _ = say("predict", trained, "--file", tmp_path / "t.csv", "--spreadsheet-safe")
        header, *rows = csv.reader(io.StringIO(out))
        assert header == ["id", "given_label", "text", "label", "p_bad", "p_good"]
        assert [row[:3] for row in rows] == [["'=7", "good", "the sea"], ["8", "", "old friends"]]
        out, _ = say("predict", trained, "--file", tmp_path / "t.csv", "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["id"] for line in lines] == ["=7", "8"]
        assert {line["label"] for line in lines} <= {"bad", "good"}

    def test_empty_texts_are_refused_or_left_out(self, say: Say, trained: Path, tmp_path: Path) -> None:
        (tmp_path / "t.txt").write_text("the sea\n\nold friends\n", "utf-8")
        assert run(["predict", str(trained), "--file", str(tmp_path / "t.txt")]) == 2
        out, err = say("predict", trained, "--file", tmp_path / "t.txt", "--drop-empty")
        assert len(out.splitlines()) == 3
        assert err.strip().endswith("1 row without a text left out")

    def test_parquet(self, say: Say, trained: Path, tmp_path: Path) -> None:
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.table({"s": ["the sea", "old friends"]}), tmp_path / "t.parquet")
        out, _ = say("predict", trained, "--file", tmp_path / "t.parquet", "--text-column", "s")
        assert [row[0] for row in csv.reader(io.StringIO(out))] == ["text", "the sea", "old friends"]

    def test_stdin(self, say: Say, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("the sea\nwinter ü\n\n".encode())))
        out, _ = say("predict", trained, "--json")
        assert [json.loads(line)["text"] for line in out.splitlines()] == ["the sea", "winter ü"]

    def test_to_a_file(self, say: Say, trained: Path, tmp_path: Path) -> None:
        shown, _ = say("predict", trained, "the sea")
        out, _ = say("predict", trained, "the sea", "--out", tmp_path / "p" / "p.csv")
        assert out == ""
        assert (tmp_path / "p" / "p.csv").read_text() == shown


def test_training_the_circuit_of_a_program(
    say: Say, reviews: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.qasm").write_text(to_openqasm3(load_circuit("iqp", 2)))
    flags = ("--head", "dressed", "--circuit", tmp_path / "own.qasm", "--epochs", 1, "--compare", "none")
    source = ("--data", reviews, "--encoder", tiny_encoder)
    out, _ = say("train", *source, *flags, "--out", tmp_path / "run", "--json")
    assert (json.loads(out)["circuit"], json.loads(out)["n_qubits"]) == ("own", 2)
    assert (
        run(["train", *map(str, source), *map(str, flags), "--qubits", "3", "--out", str(tmp_path / "x")])
        == 2
    )


def test_encode(say: Say, reviews: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    from hybridqies.tensors import load_tensors

    flags = ("encode", "--data", reviews, "--encoder", tiny_encoder)
    out, _ = say(*flags, "--json", "--out", tmp_path / "e.safetensors")
    record = json.loads(out)
    assert record["texts"] == {"train": 120}
    assert record["encoder"]["dimension"] == 32
    tensors, stored = load_tensors(tmp_path / "e.safetensors")
    assert tensors["train"].shape == (120, 32)
    assert stored == record
    assert say(*flags)[0].startswith("120 texts, 32 numbers each, by ")


def test_encode_without_the_cache(
    say: Say, reviews: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hybridqies.tensors import load_tensors

    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path / "cache"))
    flags = ("encode", "--data", reviews, "--encoder", tiny_encoder, "--no-cache")
    say(*flags, "--out", tmp_path / "e.safetensors")
    assert load_tensors(tmp_path / "e.safetensors")[0]["train"].shape == (120, 32)
    assert not (tmp_path / "cache").exists()


def test_report(say: Say, trained: Path, tmp_path: Path) -> None:
    out, told = say("report", trained, "--out", tmp_path / "reviews.html", "--files", tmp_path / "paper")
    assert told == ""
    files = list((tmp_path / "paper").iterdir())
    first, second = out.splitlines()
    assert first == f"{len(files)} files for a paper are in {tmp_path / 'paper'}/."
    assert second.startswith(f"Written to {tmp_path / 'reviews.html'} (")
    page = (tmp_path / "reviews.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    result = read_record(trained / "result.json", needed={"accuracy": float})
    assert f"{100 * result['accuracy']:.2f} %" in page
    sections = [
        "comparison",
        "learning",
        "confusion",
        "calibration",
        "mistakes",
        "cost",
        "circuits",
        "reproduce",
    ]
    assert [name for name in sections if f'<section class="part" id="{name}-1"' in page] == sections
    assert "hybridqies train \\\n    --data" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "report.pdf"), "--out was given 'report.pdf'; expected a name in .html or .htm"),
        ((), "holds nothing to report; expected one of a scaling study, a study"),
    ],
)
def test_a_report_that_cannot_be_made(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
