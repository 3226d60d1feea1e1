"""Every command that runs a model takes --device, and refuses a GPU that is not there before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from hybridqies.cli.app import build, run
from hybridqies.study.kinds import STUDIES

pytestmark = pytest.mark.usefixtures("no_gpu")
# Its devices are quantum computers.
_OTHER = "lattice"


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def _with_device() -> list[tuple[str, ...]]:
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(build()))]
    found = list[tuple[str, ...]]()
    for words, command in waiting:
        waiting += [((*words, name), each) for name, each in getattr(command, "commands", {}).items()]
        if any("--device" in each.opts for each in command.params) and words != (_OTHER,):
            found.append(words)
    return found


COMMANDS = _with_device()


def test_commands_that_run_models_take_it() -> None:
    expected = {
        ("train",),
        ("evaluate",),
        ("predict",),
        ("encode",),
        *(tuple(kind.command.split()) for kind in STUDIES.values()),
    }
    assert expected | {("lm", name) for name in ("train", "generate", "evaluate")} <= set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there(
    words: tuple[str, ...],
    device: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*words, "--device", device]) == 2
    complaint = f"hybridqies: device {device!r} is not there; expected a CUDA GPU that torch sees; use cpu\n"
    assert capsys.readouterr() == ("", complaint)
    assert list(tmp_path.iterdir()) == []


def test_on_a_cluster_the_nodes_have_the_gpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["sweep", "--cluster", "nowhere", "--out", str(tmp_path / "sweep")]
    assert run([*given, "--device", "cuda:1"]) == 2
    assert "'cuda:1' was given with --cluster; expected cuda: Ray chooses the GPU" in capsys.readouterr().err
    assert run([*given, "--device", "cuda"]) == 2
    assert "is not there" not in capsys.readouterr().err
