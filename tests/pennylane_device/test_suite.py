"""PennyLane's own suite for devices, in a process of its own: its options are those of a whole run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pennylane.devices.tests import get_device_tests

pytest.importorskip("flaky")
pytest.importorskip("pytest_mock")

FOLDER = Path(get_device_tests())


def failures(files: list[str], shots: str) -> str:
    """What the suite says at its end if anything failed, else an empty string."""
    paths = [str(FOLDER / name) for name in files] or [str(FOLDER)]
    options = ["--device=hybridqies.statevector", f"--shots={shots}", "--skip-ops", "--no-flaky-report"]
    quiet = ["-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore"]
    command = [sys.executable, "-m", "pytest", *paths, *options, *quiet]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER)
    assert " passed" in done.stdout, done.stdout + done.stderr
    return done.stdout[-4000:] if done.returncode else ""


def test_gates_and_gradients():
    assert not failures(["test_gates.py", "test_gradients_torch.py", "test_gradients_autograd.py"], "None")


@pytest.mark.slow
@pytest.mark.parametrize("shots", ["None", "10000"])
def test_the_whole_suite(shots):
    assert not failures([], shots)
