"""`--help` answers at once, because no command imports anything heavy before it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hybridqies.cli.app import COMMANDS

resource = pytest.importorskip("resource")

MAIN = "from hybridqies.cli import main; main()"
HEAVY = ("torch", "numpy", "pennylane", "qiskit", "sentence_transformers", "sklearn", "matplotlib", "pandas")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_under_half_a_second(command: str) -> None:
    """Of processor time, which on a machine with nothing else to do is the time one waits."""
    arguments = [sys.executable, "-c", MAIN, *([command] if command else []), "--help"]
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from hybridqies.cli.app import run; run(['train', '--help']); "
        f"sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert "--per-class" in done.stdout
