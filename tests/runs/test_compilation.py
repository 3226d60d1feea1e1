"""Compilation of kernels is told to who waits for it, and does not count as training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import pytest
from torch import nn

from hybridqies.backends import QuantumLayer
from hybridqies.circuit import load_circuit
from hybridqies.cli.app import run
from hybridqies.engine import Compilation
from hybridqies.progress import COMPILING
from hybridqies.runs.measure import measure_model
from hybridqies.saved_model import SavedModel
from hybridqies.training import fit, stopwatch

pytestmark = pytest.mark.usefixtures("own_cache")


def compiling(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, after two functions were compiled, as on a machine whose kernels are not on disk yet."""

    def compile_first(*given: Any, **named: Any) -> Any:
        numba.njit(lambda number: number + 1)(1)
        numba.njit(lambda number: number + 2)(1)
        return call(*given, **named)

    return compile_first


@pytest.fixture(scope="module")
def train(reviews: Path, tiny_encoder: Path) -> list[str]:
    flags = ["--head", "dressed", "--qubits", "2", "--epochs", "1", "--compare", "none"]
    return ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), *flags]


def test_commands_tell_it_once(
    train: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HYBRIDQIES_PROGRESS", raising=False)
    monkeypatch.setattr("hybridqies.runs.execution.fit", compiling(fit))
    monkeypatch.setattr("hybridqies.runs.evaluation.measure_model", compiling(measure_model))
    monkeypatch.setattr(SavedModel, "predict", compiling(SavedModel.predict))
    out = str(tmp_path / "run")
    for command in ([*train, "--out", out], ["evaluate", out], ["predict", out, "a warm film"]):
        assert run(command) == 0
        assert capsys.readouterr().err.splitlines().count(COMPILING) == 1
    assert run([*train, "--out", out, "--overwrite", "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_it_does_not_count_as_time(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def watch(tell: object = None) -> Iterator[Compilation]:
        yield Compilation(seconds=1_000.0)

    monkeypatch.setattr("hybridqies.engine.watch_compilation", watch)
    layer = QuantumLayer(load_circuit("rot-ring", n_qubits=2, layers=1))
    with stopwatch(nn.Sequential(nn.Linear(2, 2), layer)) as seconds:
        assert -1_000 <= seconds() < -900
    with stopwatch(nn.Linear(2, 2)) as seconds:
        assert 0 <= seconds() < 900


@pytest.mark.slow
def test_the_first_run_on_a_machine(train: list[str], tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "HYBRIDQIES_PROGRESS": ""}
    counts = []
    for at in range(2):
        command = [sys.executable, "-m", "hybridqies", *train, "--out", str(tmp_path / f"run{at}")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        counts.append(done.stderr.splitlines().count(COMPILING))
    assert counts == [1, 0]
