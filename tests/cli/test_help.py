"""`--help` answers at once, because no command imports anything heavy before it runs."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from hybridqies.cli.app import COMMANDS

MAIN = "from hybridqies.cli import main; main()"
HEAVY = ("torch", "numpy", "pennylane", "qiskit", "sentence_transformers", "sklearn", "matplotlib", "pandas")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_under_half_a_second(command: str) -> None:
    arguments = [sys.executable, "-c", MAIN, *([command] if command else []), "--help"]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(arguments, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
        if seconds[-1] < 0.5:
            return
    pytest.fail(f"--help took {min(seconds):.2f} s at best")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from hybridqies.cli.app import run; run(['train', '--help']); "
        f"sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert "--per-class" in done.stdout
