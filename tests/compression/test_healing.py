"""Healing: what is trained, what stays, what the command reports, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from compression.language_models import WORDS, write_model, write_text

from hybridqies.cli.app import run
from hybridqies.compression import (
    CompressedLinear,
    Healing,
    compress,
    cut_windows,
    heal,
    load_causal_model,
    load_compressed,
    measure_perplexity,
)
from hybridqies.errors import InputError
from hybridqies.training import token_losses

ROUND = torch.arange(1, 31).repeat(8).reshape(20, 12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def compressed(folder: Path, method: str = "mpo") -> Any:
    model, _ = load_causal_model(str(folder))
    compress(model, method, 0.5, ["up_proj", "down_proj", "gate_proj"])
    return model.double()


@pytest.mark.parametrize("method", ["mpo", "svd", "disentangled"])
def test_the_cores_learn_and_nothing_else_changes(folder, method):
    model = compressed(folder, method)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    told: list[tuple[int, int]] = []
    healing = Healing("", epochs=4, batch_size=2, learning_rate=0.02)
    outcome = heal(model, ROUND, healing, lambda *steps: told.append(steps))
    assert told == [(step, 40) for step in range(1, 41)]
    assert outcome.history[-1]["train_loss"] < 0.8 * outcome.history[0]["train_loss"]
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if ".cores." in name or name.endswith(".gates")}
    assert before.keys() == model.state_dict().keys()
    assert all(each.requires_grad and each.grad is None for each in model.parameters())


def test_a_step_is_adamw_on_the_loss_of_the_next_token(folder):
    model, other = compressed(folder), compressed(folder)
    rate, decay = 0.01, 0.1
    heal(model, ROUND[:2], Healing("", batch_size=2, learning_rate=rate, weight_decay=decay, clip_norm=0.0))
    cores = [core for each in other.modules() if isinstance(each, CompressedLinear) for core in each.cores]
    token_losses(other, ROUND[:2]).mean().backward()
    torch.optim.AdamW(cores, rate, weight_decay=decay).step()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.dist(mine, theirs) < 1e-12


def test_what_cannot_be_trained_is_refused(folder):
    untouched, _ = load_causal_model(str(folder))
    with pytest.raises(InputError, match="no compressed layer"):
        heal(untouched, ROUND, Healing(""))
    with pytest.raises(InputError, match=r"'model.layers.0.mlp.gate_proj' holds no numbers"):
        heal(compressed(folder, "zero"), ROUND, Healing(""))


@pytest.mark.parametrize("method", ["mpo", "disentangled"])
def test_interrupted_healing_goes_on_bit_for_bit(folder, tmp_path, method):
    healing = Healing("", epochs=3, batch_size=4, learning_rate=0.02)
    whole, cut = compressed(folder, method), compressed(folder, method)
    heal(whole, ROUND, healing)

    def stop(done: int, _: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        heal(cut, ROUND, healing, stop, folder=tmp_path)
    again = compressed(folder, method)
    told: list[int] = []
    heal(again, ROUND, healing, lambda done, _: told.append(done), folder=tmp_path, resume=True)
    # Five steps are an epoch.
    assert told == list(range(6, 16))
    for name, value in again.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name])


def test_the_circuits_of_a_disentangled_layer_stay_orthogonal(folder):
    model = compressed(folder, "disentangled")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    heal(model, ROUND, Healing("", epochs=2, batch_size=4, learning_rate=0.02))
    gates = {name: value for name, value in model.state_dict().items() if name.endswith(".gates")}
    assert len(gates) == 12
    for name, each in gates.items():
        assert torch.dist(each, before[name]) > 1e-2
        assert torch.dist(each @ each.mT, torch.eye(4).expand_as(each).to(each)) < 1e-5


def test_the_command_heals_measures_and_saves(folder, tmp_path, capsys):
    text, lesson = write_text(tmp_path / "words.txt"), tmp_path / "lesson.txt"
    lesson.write_text(" ".join(WORDS * 8))
    flags = ["--text", str(text), "--layers", "up_proj,down_proj", "--method", "mpo", "--windows", "3"]
    healing = ["--heal", str(lesson), "--set", "heal.windows=10", "--set", "heal.width=20"]
    words = [str(folder), *flags, "--width", "16", *healing, "--out", str(tmp_path / "out")]
    assert run(["compress", *words]) == 0
    assert "mpo healed" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "compression.json").read_text())
    plain, healed = report["arms"][1:3]
    assert (plain["arm"], healed["arm"]) == ("mpo", "mpo healed")
    assert plain["layer_parameters"] == healed["layer_parameters"]
    assert plain["perplexity"] != healed["perplexity"]
    assert healed["training"][0]["epoch"] == 1
    assert report["config"]["heal"]["windows"] == 10
    again = load_compressed(tmp_path / "out")
    windows = cut_windows(load_causal_model(str(folder))[1](text.read_text())["input_ids"], 6, 16)[3:]
    assert measure_perplexity(again, windows).interval.value == healed["perplexity"]["value"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--heal", "text", "--method", "zero"], "method 'zero' leaves nothing to train"),
        (["--heal", "text", "--set", "heal.windos=3"], "did you mean 'heal.windows'"),
        (["--heal", "text", "--set", "heal.text=other"], "unknown option 'heal.text'"),
        (["--heal", "text", "--set", "heal.width=1"], "'width' was given 1; expected 2 to"),
        (["--heal", "text", "--set", "heal.learning_rate=0"], "'learning_rate' was given 0"),
        (["--heal", "text", "--set", "heal.schedule=steep"], "'steep'; expected one of constant"),
        (["--heal", "text"], "the text has 200 tokens; expected 51200 for 200 windows of 256"),
        (["--heal", "nowhere"], "nowhere"),
        (["--set", "heal.windows=3"], "heal.windows was set without --heal"),
    ],
)
def test_bad_healing_is_one_line_and_leaves_no_folder(folder, tmp_path, capsys, monkeypatch, flags, said):
    text = write_text(tmp_path / "text")
    monkeypatch.chdir(tmp_path)
    sizes = ["--windows", "3", "--width", "16"]
    words = [str(folder), "--text", str(text), *sizes, "--layers", "k_proj", *flags]
    assert run(["compress", *words, "--out", "out"]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
