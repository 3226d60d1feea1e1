"""A run in two processes that train together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hybridqies.cli.app import run


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
