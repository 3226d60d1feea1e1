"""Bad input: one line on stderr that says what was given, exit code 2, nothing half-written."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hybridqies.cli.app import run

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the program, expects a refusal, and gives its one line."""

    def call(*arguments: object) -> str:
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith("hybridqies: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        return err.removeprefix("hybridqies: ").strip()

    return call


@pytest.fixture(scope="module")
def model(
    tmp_path_factory: pytest.TempPathFactory, reviews: Path, tiny_encoder: Path, cache_folder: Path
) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--qubits", "3", "--epochs", "1", "--compare", "none", "--head", "dressed", "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDQIES_CACHE", str(cache_folder))
        run(["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(folder), *flags])
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = {
    "missing column": (
        b"words,label\na,b\n",
        "has no column 'text'; expected a text column out of: 'words', 'label'",
    ),
    "missing label column": (b"text,lable\na,b\n", "has no column 'label'; .* did you mean 'lable'?"),
    "empty file": (b"", "is empty; expected at least one row for each of two labels"),
    "header only": (b"text,label\n", "has a header and no rows"),
    "one class only": (
        b"text,label\na,x\nb,x\n",
        "has only the label 'x'; expected at least two different labels",
    ),
    "empty text": (b"text,label\na,x\n ,y\n", "line 3: the text is empty"),
    "missing label": (b"text,label\na,x\nb,\n", "line 3: the label is missing"),
    "wrong encoding": ("text,label\na,x\nü,y\n".encode("latin-1"), "line 3: byte 0xfc is not UTF-8"),
    "ragged row": (b"text,label\na,x\nb,y,z\n", "line 3: 3 fields; expected 2 as in the header"),
    "open quote": (b'text,label\na,x\n"b,y\n', "line 3: unexpected end of data"),
    "too few rows": (b"text,label\na,x\nb,y\n", "too few for a split"),
}


@pytest.mark.parametrize("case", FILES)
def test_data_files(case: str, refused: Callable[..., str], tiny_encoder: Path, tmp_path: Path) -> None:
    import re

    content, said = FILES[case]
    file = tmp_path / "data.csv"
    file.write_bytes(content)
    line = refused(
        "train",
        "--data",
        file,
        "--encoder",
        tiny_encoder,
        "--head",
        "logistic",
        "--out",
        tmp_path / "o" / "run",
    )
    assert re.search(said, line), line
    assert not (tmp_path / "o").exists()


FLAGS = {
    "no such file": (["--data", "nowhere.csv"], "no file or folder 'nowhere.csv'"),
    "unknown data set": (
        ["--data", "sms_spam2"],
        "unknown data set 'sms_spam2'; .* did you mean 'sms_spam'?",
    ),
    "unknown circuit": (["--circuit", "long-range-reuplod"], "did you mean 'long-range-reupload'?"),
    "no recipe file": (["--circuit", "mine.toml"], "no recipe file 'mine.toml' exists"),
    "unknown option": (["--set", "conectivity=2"], "did you mean 'connectivity'?"),
    "unknown encoder option": (["--set", "encoder.layer=2"], "did you mean 'encoder.layers'?"),
    "unknown training option": (["--set", "training.weight_dcay=2"], "did you mean 'weight_decay'?"),
    "unknown value": (["--set", "merge=maen"], "did you mean 'mean'?"),
    "value of another kind": (["--set", "layers=many"], "'layers'"),
    "value out of bounds": (["--set", "connectivity=9"], "'connectivity'"),
    "not a number": (["--set", "spread=nan"], "expected a finite number"),
    "nested options": (
        ["--set", "circuit_options=3"],
        "unknown setting of head 'two-module': 'circuit_options'",
    ),
    "no value": (["--set", "layers"], "--set was given 'layers'; expected key=value"),
    "set twice": (["--set", "layers=1", "--set", "layers=2"], "--set gives 'layers' twice"),
    "qubits twice": (["--qubits", "4", "--set", "n_qubits=5"], "'n_qubits' was given twice"),
    "unknown head": (["--head", "two_modul"], "did you mean 'two-module'?"),
    "unknown compare head": (["--compare", "logistic,svm"], "unknown head 'svm'; .* did you mean 'svc'?"),
    "unknown backend": (["--backend", "state-vector"], "did you mean 'statevector'?"),
    "backend of a classical head": (
        ["--head", "svc", "--backend", "state-vector"],
        "did you mean 'statevector'?",
    ),
    "unknown encoder": (["--encoder", "all-MiniLM-L6-v3"], "did you mean 'all-MiniLM-L6-v2'?"),
    "encoder folder": (["--encoder", "./nowhere"], "no encoder folder './nowhere'"),
    "no qubits": (["--qubits", "0"], "0 qubits"),
    "60 qubits": (["--qubits", "60"], "60 qubits were asked of backend 'statevector'; expected at most 28"),
    "60 projected qubits": (["--qubits", "60", "--set", "fit=project"], "60 qubits were asked of backend"),
    "28 qubits": (
        ["--head", "dressed", "--qubits", "28", "--set", "layers=1"],
        "samples of 28 qubits need about",
    ),
    "qubits of a classical head": (
        ["--head", "mlp", "--qubits", "4"],
        "was given n_qubits, and has no circuit",
    ),
    "encoder too small": (["--qubits", "4", "--set", "encoder_qubits=4"], "was to be padded to 4 qubits"),
    "negative epochs": (["--epochs", "-3"], "'epochs' was given -3; expected 1 to 1,000,000,000"),
    "no epochs": (["--epochs", "0"], "'epochs' was given 0"),
    "words for numbers": (["--epochs", "many"], "Invalid value for '--epochs'"),
    "negative seed": (["--seed", "-1"], "'seed' was given -1"),
    "batch size": (["--batch-size", "0"], "'batch_size' was given 0"),
    "learning rate": (["--lr", "0"], "'learning_rate' was given 0"),
    "too many per class": (["--per-class", "60"], "has 60 rows; expected at least 61"),
    "none per class": (["--per-class", "0"], "0 examples per class; expected at least 1"),
    "fraction": (["--test-fraction", "1.5"], "test fraction 1.5"),
    "no validation": (["--validation-fraction", "0"], "leaves no validation texts"),
    "device": (["--device", "tpu"], "device 'tpu'; expected cpu, cuda"),
    "unknown flag": (["--qubit", "4"], "No such option: --qubit"),
    "itself": (["--head", "dressed", "--resume"], "--resume was given together with --"),
    "no target": (["--head", "matched-mlp"], "target=0; expected the parameter count to match"),
}


@pytest.mark.parametrize("case", FLAGS)
def test_train_flags(
    case: str,
    refused: Callable[..., str],
    reviews: Path,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import re

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    given, said = FLAGS[case]
    line = refused(
        "train", "--data", reviews, "--encoder", tiny_encoder, "--epochs", 1, "--out", "run", *given
    )
    assert re.search(said.replace("?", r"\?"), line), line
    assert list(tmp_path.iterdir()) == []


class TestOutFolder:
    def flags(self, reviews: Path, tiny_encoder: Path) -> tuple[object, ...]:
        return (
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

    def test_not_empty(
        self, refused: Callable[..., str], reviews: Path, tiny_encoder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        flags = self.flags(reviews, tiny_encoder)
        assert "is not empty" in refused(*flags, "--out", tmp_path)
        assert "is no run and will not be overwritten" in refused(*flags, "--out", tmp_path, "--overwrite")
        assert "is a file" in refused(*flags, "--out", tmp_path / "notes.txt")
        assert contents(tmp_path) == {"notes.txt": b"mine"}

    def test_bad_input_overwrites_nothing(
        self, refused: Callable[..., str], model: Path, reviews: Path, tiny_encoder: Path
    ) -> None:
        before = contents(model)
        refused(*self.flags(reviews, tiny_encoder), "--out", model, "--overwrite", "--set", "Q=3")
        refused("train", "--encoder", tiny_encoder, "--data", "nowhere.csv", "--out", model, "--overwrite")
        assert contents(model) == before

    def test_where_nothing_can_be_written(
        self, refused: Callable[..., str], reviews: Path, tiny_encoder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        line = refused(*self.flags(reviews, tiny_encoder), "--out", tmp_path / "file" / "run")
        assert f"{str(tmp_path / 'file')!r} is a file; expected a new folder" in line


class TestResume:
    def test_no_run(self, refused: Callable[..., str], tmp_path: Path) -> None:
        assert "holds no config.json" in refused("train", "--resume", "--out", tmp_path / "none")
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize("content", [b"", b"half a file"])
    def test_a_corrupt_checkpoint(
        self, content: bytes, refused: Callable[..., str], model: Path, tmp_path: Path
    ) -> None:
        copy = tmp_path / "run"
        shutil.copytree(model, copy)
        (copy / "result.json").unlink()
        (copy / "checkpoint.safetensors").write_bytes(content)
        before = contents(copy)
        assert "checkpoint.safetensors' is truncated or damaged" in refused(
            "train", "--resume", "--out", copy
        )
        assert contents(copy) == before


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated weights": (lambda f: cut(f / "model.safetensors"), "truncated or was altered"),
    "flipped byte": (lambda f: flip(f / "model.safetensors"), "truncated or was altered"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors' is missing"),
    "edited config": (
        lambda f: edit(f / "config.json", '"good"', '"fine"'),
        "was altered or damaged after it was written",
    ),
    "truncated config": (lambda f: cut(f / "config.json"), "truncated or damaged"),
    "no config": (lambda f: (f / "config.json").unlink(), "holds no config.json"),
    "no folder": (shutil.rmtree, "holds no config.json"),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize("case", SPOILT)
@pytest.mark.parametrize("command", [("predict", "RUN", "a film"), ("evaluate", "RUN")], ids=lambda c: c[0])
def test_spoilt_models(
    case: str, command: tuple[str, ...], refused: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    spoil, said = SPOILT[case]
    copy = tmp_path / "run"
    shutil.copytree(model, copy)
    spoil(copy)
    assert said in refused(*(copy if word == "RUN" else word for word in command))


class TestEvaluate:
    def test_a_label_never_seen(self, refused: Callable[..., str], model: Path, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("text,label\na,good\nb,goood\n")
        line = refused("evaluate", model, "--data", tmp_path / "d.csv", "--split", "train")
        assert line == "label 'goood' was never seen in training; expected one of ['bad', 'good']"

    def test_unknown_split_and_backend(self, refused: Callable[..., str], model: Path) -> None:
        assert "did you mean 'validation'?" in refused("evaluate", model, "--split", "validating")
        assert "did you mean 'statevector'?" in refused("evaluate", model, "--backend", "statevectors")


class TestPredict:
    def test_texts(self, refused: Callable[..., str], model: Path, tmp_path: Path) -> None:
        assert "text 2 of 2: the text is empty" in refused("predict", model, "a film", "  ")
        assert "both texts and --file were given" in refused("predict", model, "a", "--file", "t.txt")
        (tmp_path / "t.md").write_text("a")
        assert "expected one of .csv, .tsv, .jsonl, .json, .parquet, .xlsx" in refused(
            "predict", model, "--file", tmp_path / "t.md"
        )
        assert "cannot be read: No such file" in refused("predict", model, "--file", tmp_path / "none.txt")
        (tmp_path / "t.csv").write_text("words\na\n")
        line = refused("predict", model, "--file", tmp_path / "t.csv")
        assert "has no column 'text'; expected a text column out of: 'words'" in line
        (tmp_path / "t.txt").write_text("\n\n")
        assert "t.txt is empty; expected at least one text" in refused(
            "predict", model, "--file", tmp_path / "t.txt"
        )

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "stdin is empty; expected at least one text"),
            (b"a\n\xff\n", "stdin, line 2: byte 0xff is not UTF-8"),
        ],
    )
    def test_stdin(
        self,
        content: bytes,
        said: str,
        refused: Callable[..., str],
        model: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert said in refused("predict", model)

    def test_out_that_cannot_be_written(
        self, refused: Callable[..., str], model: Path, tmp_path: Path
    ) -> None:
        assert "Is a directory" in refused("predict", model, "a", "--out", tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestOthers:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (["circuits", "show", "iqq"], "did you mean 'iqp'?"),
            (["circuits", "show", "iqp", "--qubits", "0"], "0 qubit"),
            (["circuits", "show", "iqp", "--set", "layer=2"], "did you mean 'layers'?"),
            (["circuits", "show", "iqp", "--format", "latex"], "'latex' is not one of"),
            (["circuits", "show", "iqp", "--picture", "c.docx"], "docx"),
            (["encode", "--data", "nowhere.csv"], "no file or folder 'nowhere.csv'"),
            (["encode", "--encoder", "./nowhere"], "no encoder folder"),
            (["encode", "--no-cache"], "--no-cache was given without --out; expected --out, or the cache"),
            (["trian"], "No such command 'trian'. Did you mean 'train'?"),
            (["predict"], "Missing argument"),
        ],
        ids=str,
    )
    def test_refused(
        self,
        given: list[str],
        said: str,
        refused: Callable[..., str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert said in refused(*given)
        assert list(tmp_path.iterdir()) == []
