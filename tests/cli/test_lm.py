"""`hybridqies lm`: a text in, a run in one folder, and what it says when something is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hybridqies.cli.app import run
from hybridqies.language_model import TRAINING, LanguageModel
from hybridqies.lm.texts import read_text
from hybridqies.records import read_record
from hybridqies.runs.language import recorded_language_run, train_language_model
from hybridqies.training import Compute, Precision, compiled_loss

TEXT = "abcdefg" * 80
SMALL = [
    "--size",
    "3k",
    "--window",
    8,
    "--n-tokens",
    300,
    "--epochs",
    2,
    "--set",
    "width=16",
    "--set",
    "n_layers=1",
]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def call(*arguments: object) -> int:
    return run(["lm", *map(str, arguments)])


def refusal(capsys: Any, *arguments: object) -> str:
    assert call(*arguments) == 2
    out, complaint = capsys.readouterr()
    assert not out
    assert complaint.count("\n") == 1
    return complaint


def test_a_model_is_trained_evaluated_and_asked(tmp_path, text, say):
    out = tmp_path / "run"
    shown, _ = say("lm", "train", "--text", text, *SMALL, "--set", "rank=2", "--out", out)
    assert "perplexity" in shown
    assert "S₂ / log r" in shown
    assert "training tokens/s" in shown
    result = read_record(out / "result.json")
    assert result["arm"] == "entangled"
    assert result["n_tokens"] == 2 * 8 * round(300 / 16)
    assert result["n_parameters"] == sum(
        values.numel() for values in LanguageModel.from_pretrained(out).decoder.parameters()
    )
    assert {(row["block"], row["stride"]) for row in result["entanglement"]} == {(0, 1), (0, 2), (0, 4)}
    names = {path.name for path in out.iterdir()}
    assert names == {
        "checkpoint.safetensors",
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "result.json",
    }
    measured = json.loads(say("lm", "evaluate", out, "--json")[0])
    assert measured["loss"] == pytest.approx(result["test_loss"])
    assert measured["entanglement"] == result["entanglement"]
    other = json.loads(say("lm", "evaluate", out, "--text", text, "--json")[0])
    assert other["loss"] == pytest.approx(LanguageModel.from_pretrained(out).score(TEXT).loss)
    assert "perplexity" in say("lm", "evaluate", out)[0]
    written, _ = say("lm", "generate", out, "--prompt", "abc", "--n-tokens", 9, "--seed", 4)
    assert written == "abc" + LanguageModel.from_pretrained(out).generate("abc", 9, seed=4) + "\n"
    assert json.loads(say("lm", "generate", out, "--prompt", "abc", "--json")[0])["prompt"] == "abc"


def test_an_interrupted_run_goes_on_to_the_same_result(tmp_path, text, say, monkeypatch, capsys):
    monkeypatch.setenv("HYBRIDQIES_PROGRESS", "off")
    arguments = ["--text", text, *SMALL, "--arm", "tap"]
    whole = json.loads(say("lm", "train", *arguments, "--out", tmp_path / "whole", "--json")[0])
    from hybridqies.cli import lm

    watch = lm._watch

    def watch_and_stop(*given: Any) -> Any:
        on_epoch, on_step = watch(*given)

        def stop(done: int, total: int) -> None:
            on_step(done, total)
            if done == total:
                raise KeyboardInterrupt

        return on_epoch, stop

    with monkeypatch.context() as patch:
        patch.setattr(lm, "_watch", watch_and_stop)
        assert call("train", *arguments, "--out", tmp_path / "cut") == 130
    assert f"continue with: hybridqies lm train --resume --out {tmp_path / 'cut'}" in capsys.readouterr().err
    assert call("generate", tmp_path / "cut") == 2
    assert "has not finished" in capsys.readouterr().err
    again = json.loads(say("lm", "train", "--resume", "--out", tmp_path / "cut", "--json")[0])
    timed = ("seconds", "tokens_per_second", "test_tokens_per_second")
    assert {k: v for k, v in again.items() if k not in timed} == {
        k: v for k, v in whole.items() if k not in timed
    }
    # A finished run is shown as it is.
    assert json.loads(say("lm", "train", "--resume", "--out", tmp_path / "cut", "--json")[0]) == again
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_larger_models_are_trained_at_smaller_rates(text):
    from hybridqies.cli import lm

    given: dict[str, Any] = {"arm": "real", "text": str(text), "tokens": "characters", "window": 128}
    given |= {"n_tokens": 1000, "seed": 0, "device": "cpu"}
    given |= dict.fromkeys(("epochs", "batch_size", "lr", "set_", "precision", "compile_"))

    def rate(size, **changes):
        return lm._config({**given, "size": size, **changes}).model.training.learning_rate

    assert [rate("20k"), rate("65k"), rate("2.25M")] == [0.005, 0.005, 0.0011]
    assert rate("2.25M", lr=0.02) == rate("2.25M", set_=["training.learning_rate=0.02"]) == 0.02


def test_settings_reach_the_model(tmp_path, text, say):
    given = ["training.weight_decay=0.2", "local_weight=0.1", "entanglement_weight=0.05", "activation=gelu"]
    sets = [word for each in given for word in ("--set", each)]
    say("lm", "train", "--text", text, *SMALL, *sets, "--lr", 0.01, "--seed", 7, "--out", tmp_path / "run")
    config = LanguageModel.from_pretrained(tmp_path / "run").config
    assert (config.local_weight, config.entanglement_weight) == (0.1, 0.05)
    assert (config.training.weight_decay, config.training.learning_rate) == (0.2, 0.01)
    assert (config.training.seed, config.training.clip_norm) == (7, 1.0)
    assert config.settings == {"width": 16, "n_layers": 1, "activation": "gelu"}


def test_precision_is_recorded(tmp_path, text, say):
    given = ["--text", text, *SMALL, "--arm", "tap", "--precision", "bf16", "--out", tmp_path / "run"]
    say("lm", "train", *given)
    training = LanguageModel.from_pretrained(tmp_path / "run").config.training
    assert training.compute.precision is Precision.BF16
    # Nothing but the precision differs from what is trained without it.
    assert replace(training, compute=Compute(), epochs=TRAINING.epochs) == TRAINING


def test_compiling_is_recorded_with_the_run_and_may_be_left_out_later(tmp_path, text, say, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr(compiled_loss, "BACKEND", "eager")
    say("lm", "train", "--text", text, *SMALL, "--arm", "real", "--compile", "--out", out)
    assert recorded_language_run(out).compiled
    (out / "result.json").unlink()
    # Nothing is compiled where nothing is left to train.
    monkeypatch.setattr(compiled_loss, "BACKEND", "no backend has this name")
    say("lm", "train", "--resume", "--out", out)
    (out / "result.json").unlink()
    say("lm", "train", "--resume", "--no-compile", "--out", out)
    assert not recorded_language_run(out).compiled


def test_without_a_compiler_nothing_is_left_behind(tmp_path, text, capsys, monkeypatch):
    def fail(graph, inputs):
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(compiled_loss, "BACKEND", fail)
    given = ["train", "--text", text, *SMALL, "--arm", "real", "--compile", "--out", tmp_path / "run"]
    monkeypatch.setenv("HYBRIDQIES_PROGRESS", "off")
    said = refusal(capsys, *given)
    assert "No working C++ compiler found" in said
    assert "a C++ compiler such as g++" in said
    assert not (tmp_path / "run").exists()


def test_the_old_run_stands_until_the_new_one_does(tmp_path, text, say, capsys, monkeypatch):
    from hybridqies.cli import lm

    out = tmp_path / "run"
    arguments = ["train", "--text", text, *SMALL, "--arm", "real", "--out", out]
    say("lm", *arguments)
    old = (out / "model.safetensors").read_bytes()
    # A rate that is refused by the training itself: nothing was trained, and the old run comes back.
    huge = ["--overwrite", "--set", "training.weight_decay=1e6", "--lr", 100, "--batch-size", 1]
    assert "the training loss became" in refusal(capsys, *arguments, *huge)
    assert (out / "model.safetensors").read_bytes() == old
    assert read_record(out / "result.json")["seed"] == 0

    def stop(shown, tokens_of_step):
        def on_step(done, total):
            raise KeyboardInterrupt

        return lambda record: None, on_step

    with monkeypatch.context() as patch:
        patch.setattr(lm, "_watch", stop)
        assert call(*arguments, "--overwrite", "--seed", 1) == 130
    said = capsys.readouterr().err
    (aside,) = (path for path in tmp_path.iterdir() if path != out and (path / "config.json").is_file())
    assert f"the run that it replaces is kept in {aside} until then" in said
    assert (aside / "model.safetensors").read_bytes() == old
    say("lm", "train", "--resume", "--out", out)
    assert read_record(out / "result.json")["seed"] == 1
    assert not aside.exists()


def test_only_a_run_is_overwritten(tmp_path, text, say, capsys):
    out = tmp_path / "run"
    arguments = ["train", "--text", text, *SMALL, "--arm", "real", "--out", out]
    say("lm", *arguments)
    assert "is not empty" in refusal(capsys, *arguments)
    say("lm", *arguments, "--overwrite", "--seed", 1)
    assert read_record(out / "result.json")["seed"] == 1
    assert sorted(path.name for path in tmp_path.iterdir() if "run" in path.name) == ["run"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    assert "config.json" in refusal(capsys, *arguments[:-1], tmp_path / "mine", "--overwrite")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--arm", "entangle"], "did you mean 'entangled'"),
        (["--size", "huge"], "such as 65k"),
        (["--text", "/nowhere/text.txt"], "cannot be read"),
        (["--tokens", "words"], "unknown kind of tokens"),
        (["--window", 1], "'context'"),
        (["--window", 4096], "at least 4096"),
        (["--set", "layers=2"], "n_layers"),
        (["--set", "mixing=tap"], "an arm"),
        (["--set", "training.seed=2"], "--seed"),
        (["--lr", "-1"], "learning_rate"),
        (["--precision", "bf61"], "'bf16'"),
        (["--precision", "bf16", "--set", "training.compute.precision=bf16"], "expected --precision"),
        (["--resume"], "together with --n-tokens"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(tmp_path, text, capsys, arguments, words):
    given = ["--text", text, *SMALL[:2], *SMALL[4:6], "--out", tmp_path / "run"]
    assert words in refusal(capsys, "train", *given, *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"abc\xff", "UTF-8 (byte 3)"), (b"ab", "too few")]
)
def test_texts_that_cannot_be_used_are_refused(tmp_path, capsys, content, words):
    (tmp_path / "text.txt").write_bytes(content)
    given = ["train", "--text", tmp_path / "text.txt", *SMALL, "--out", tmp_path / "run"]
    assert words in refusal(capsys, *given)


def test_folders_without_a_model_are_refused(tmp_path, capsys):
    for command in ("generate", "evaluate"):
        assert "config.json" in refusal(capsys, command, tmp_path)
    assert "config.json" in refusal(capsys, "train", "--resume", "--out", tmp_path)
    LanguageModel(size="3k", context=8, n_tokens=8, training={"epochs": 1}).fit(TEXT).save_pretrained(
        tmp_path
    )
    assert "no run" in refusal(capsys, "evaluate", tmp_path)


def test_commands_for_classifiers_refuse_it_by_name(tmp_path, capsys):
    LanguageModel(size="3k", context=8, n_tokens=8, training={"epochs": 1}).fit(TEXT).save_pretrained(
        tmp_path
    )
    assert run(["evaluate", str(tmp_path)]) == 2
    assert "holds a language model" in capsys.readouterr().err


def test_a_text_comes_with_the_package():
    text = read_text("tiny_shakespeare")
    assert text.startswith("First Citizen:")
    assert 190_000 < len(text) < 200_001
    assert len(set(text)) == 62


def test_another_text_is_not_resumed(tmp_path, text, say, capsys):
    from hybridqies.errors import ModelFolderError

    say("lm", "train", "--text", text, *SMALL, "--arm", "real", "--out", tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    text.write_text(TEXT[::-1], encoding="utf-8")
    run_ = recorded_language_run(tmp_path / "run")
    with pytest.raises(ModelFolderError, match="is not what the run began with"):
        train_language_model(run_, tmp_path / "run", resume=True)


def test_a_test_part_is_not_taken_from_another_text(tmp_path, text, say, capsys):
    """In a text that was cut, the last tenth is what the model was trained on."""
    out = tmp_path / "run"
    say("lm", "train", "--text", text, *SMALL, "--out", out)
    text.write_text(TEXT[:-70], encoding="utf-8")
    for command in (["evaluate", out], ["analyse", out, "--windows", 4]):
        assert "is not what the run began with" in refusal(capsys, *command)
    assert json.loads(say("lm", "evaluate", out, "--text", text, "--json")[0])["loss"] > 0
    text.write_text(TEXT, encoding="utf-8")
    assert json.loads(say("lm", "evaluate", out, "--json")[0])["loss"] > 0
