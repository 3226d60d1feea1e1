"""A run that is killed or interrupted goes on to the result that it would have had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from forked import Ended, run_forked

from hybridqies.cli.app import run
from hybridqies.records import read_record
from hybridqies.training import loop

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
]
MAIN = "from hybridqies.cli import main; main()"


def flags(reviews: Path, tiny_encoder: Path, out: Path) -> list[str]:
    given = ["train", "--data", str(reviews), "--encoder", str(tiny_encoder), "--out", str(out)]
    given += ["--qubits", "3", "--epochs", "12", "--batch-size", "8", "--set", "dropout=0.2", "--seed", "3"]
    return [*given, "--compare", "mlp", "--json"]


def stopped(arguments: list[str], epochs: int, how: signal.Signals, folder: Path) -> Ended:
    """Runs the program in a process of its own that sends itself `how` once `epochs` epochs are recorded.

    It comes between an epoch's record and its checkpoint, where a kill does most harm; a watcher from outside
    comes too late on a busy machine. benchmarks/kill_training.py kills at random points.
    """
    write = loop.write_history  # type: ignore[attr-defined]

    def stop(folder: Path, history: Any) -> None:
        write(folder, history)
        if len(history) == epochs:
            os.kill(os.getpid(), how)

    def act() -> int:
        loop.write_history = stop  # type: ignore[attr-defined]
        return run(arguments)

    return run_forked(act, folder)


def recorded(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def result(folder: Path) -> dict[str, Any]:
    read = read_record(folder / "result.json")
    read.pop("seconds")
    return read


def test_a_killed_run_resumes_to_the_same_model(reviews: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(flags(reviews, tiny_encoder, whole)) == 0
    start = stopped(flags(reviews, tiny_encoder, cut), 4, signal.SIGKILL, tmp_path)
    assert start.code == -signal.SIGKILL
    assert recorded(cut) == 4
    again = stopped(["train", "--resume", "--out", str(cut)], 9, signal.SIGINT, tmp_path)
    assert (again.code, again.out) == (130, "")
    assert again.err == f"hybridqies: interrupted; continue with: hybridqies train --resume --out {cut}\n"
    assert recorded(cut) == 9
    assert not (cut / "result.json").exists()
    (cut / ".model-0123456789ab.safetensors").write_bytes(b"what a kill leaves behind")
    assert run(["train", "--resume", "--out", str(cut), "--json"]) == 0
    for folder in (".", "compare/mlp"):
        assert result(cut / folder) == result(whole / folder)
        assert (cut / folder / "model.safetensors").read_bytes() == (
            whole / folder / "model.safetensors"
        ).read_bytes()
    names = {str(path.relative_to(cut)) for path in cut.rglob("*")}
    assert names == {str(path.relative_to(whole)) for path in whole.rglob("*")}


def test_before_a_run_has_started_there_is_nothing_to_resume(
    reviews: Path,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridqies.runs.assembly.load_data", interrupt)
    assert run(flags(reviews, tiny_encoder, tmp_path / "run")) == 130
    assert capsys.readouterr().err == "hybridqies: interrupted\n"
    assert not (tmp_path / "run").exists()


def test_while_embedding_the_same_command_goes_on(
    reviews: Path,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "my run"
    with monkeypatch.context() as patch:
        patch.setattr("hybridqies.tasks.text_classification.embed_entries", interrupt)
        command = [*flags(reviews, tiny_encoder, out)[:7], "--head", "svc", "--compare", "none", "--json"]
        assert run(command) == 130
    hint = capsys.readouterr().err
    assert hint == "hybridqies: interrupted; run the same command again to continue: embeddings are kept\n"
    assert not out.exists()
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["head"] == "svc"


def test_while_the_program_is_imported() -> None:
    """The interrupt comes in the first import of a package that is not small."""
    interrupted = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
"""
    done = subprocess.run(
        [sys.executable, "-c", interrupted + MAIN], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "hybridqies: interrupted\n")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "circuits", "list"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
