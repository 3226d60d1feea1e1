"""A run in two processes that train together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import run_two
from safetensors.torch import load_file

from hybridqies.cli.app import run
from hybridqies.language_model import LanguageModelConfig
from hybridqies.records import read_record
from hybridqies.runs.language import LanguageRun, train_language_model
from hybridqies.training import TrainingConfig


def without_dropout(encoder: Path, copy: Path) -> Path:
    """Processes draw masks of their own, so that with dropout their sum is another step."""
    shutil.copytree(encoder, copy)
    config = json.loads((copy / "config.json").read_text())
    off = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0)
    (copy / "config.json").write_text(json.dumps(config | off))
    return copy


@pytest.mark.slow
def test_two_processes_make_the_model_of_one(
    reviews: Path, tiny_encoder: Path, own_cache: Path, tmp_path: Path
) -> None:
    encoder = without_dropout(tiny_encoder, tmp_path / "encoder")
    command = ["train", "--data", str(reviews), "--encoder", str(encoder), "--tune", "full"]
    command += ["--head", "dressed", "--qubits", "2", "--epochs", "2", "--compare", "none"]
    assert run([*command, "--out", str(tmp_path / "one")]) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = ["-m", "hybridqies", *command, "--out", str(tmp_path / "two")]
    done = subprocess.run([*launcher, *program], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Saved in") == 1
    files = ("model.safetensors", "encoder.safetensors")
    one, two = (
        {f"{file} {key}": value for file in files for key, value in load_file(tmp_path / name / file).items()}
        for name in ("one", "two")
    )
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-6, rtol=1e-4)


def test_two_processes_make_the_language_model_of_one(tmp_path: Path) -> None:
    """The joint objective on an arm with gates; one process writes, and the run goes on in both."""
    text = tmp_path / "text.txt"
    text.write_text("".join("abcdefgh"[(at * at // 3) % 8] for at in range(900)))
    training = TrainingConfig(epochs=1, batch_size=5, learning_rate=0.01, clip_norm=1.0)
    model = LanguageModelConfig(
        size="6k", context=8, n_tokens=200, local_weight=0.3, entanglement_weight=0.1, training=training
    )
    run_of = LanguageRun(str(text), model)
    alone = train_language_model(run_of, tmp_path / "one")

    def train() -> None:
        found = train_language_model(run_of, tmp_path / "two")
        again = train_language_model(run_of, tmp_path / "two", resume=True)
        assert again["test_loss"] == pytest.approx(alone["test_loss"], rel=1e-4)
        assert found == again

    for ended in run_two(train, tmp_path):
        assert ended.code == 0, ended.err[-2000:]
    assert read_record(tmp_path / "two" / "result.json")["n_tokens"] == alone["n_tokens"]
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-5, rtol=1e-3)
