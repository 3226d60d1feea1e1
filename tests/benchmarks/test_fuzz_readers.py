"""Every reader of the package on a few hundred random changes of what it should be given."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
fuzz_readers: Any = importlib.import_module("fuzz_readers")
sys.path.remove(str(BENCHMARKS))
# Those that build something for every input.
FEWER = {"command line": 40, "model weights": 60, "model configuration": 100}


@pytest.fixture(scope="module", autouse=True)
def isolated() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HYBRIDQIES_PROGRESS", "off")
        patch.setenv("HYBRIDQIES_CACHE", "")
        for name in ("IONQ_API_KEY", "QISKIT_IBM_TOKEN"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", fuzz_readers.READERS)
def test_reads_or_refuses(name: str, folder: Path) -> None:
    reader = fuzz_readers.READERS[name]
    seeds = fuzz_readers.warm_up(reader, folder)
    found = [
        (problem, content)
        for content in fuzz_readers.mutations(seeds, random.Random(0), FEWER.get(name, 200))
        if (problem := fuzz_readers.check(reader, content, folder))
    ]
    assert not found


@pytest.mark.parametrize("name", sorted(fuzz_readers.READERS.keys() - {"command line"}))
def test_seeds_are_read(name: str, folder: Path) -> None:
    """A seed that is refused at its first byte would have the reader fuzzed at its surface alone."""
    reader = fuzz_readers.READERS[name]
    for seed in reader.seeds(folder):
        reader.read(seed, folder)


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda content, folder: {}[content], "KeyError at "),
        (lambda content, folder: _loop(), "SlowError at "),
        (lambda content, folder: b"x" * 400_000_000 == b"", "more memory than allowed"),
        (lambda content, folder: None, ""),
    ],
    ids=["exception", "time", "memory", "nothing"],
)
def test_tells_what_is_wrong(read: Any, problem: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_readers, "SECONDS", 0.2 if "Slow" in problem else 60.0)
    monkeypatch.setattr(fuzz_readers, "MEGABYTES", 100)
    found = fuzz_readers.check(fuzz_readers.Reader("broken", read, lambda _: [b""]), b"", folder)
    assert found.startswith(problem) if problem else found == "", found


def test_refuses_by_name_without_atheris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_readers.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="needs the package atheris"):
        fuzz_readers.fuzz(fuzz_readers.READERS["csv"], tmp_path, 1.0, 1, tmp_path)


def test_lists_readers() -> None:
    done = subprocess.run(
        [sys.executable, "fuzz_readers.py", "--list"],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == list(fuzz_readers.READERS)


def _loop() -> None:
    while True:
        pass
