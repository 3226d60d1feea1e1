"""`--help` imports nothing heavy, so that it answers at once."""

from __future__ import annotations

import json
import subprocess
import sys

from hybridqies.cli.app import COMMANDS

HEAVY = ("torch", "numpy", "pennylane", "qiskit", "sentence_transformers", "sklearn", "matplotlib", "pandas")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import json, sys; from hybridqies.cli.app import run; found = {}\n"
        "for command in ['', *sys.argv[1:]]:\n"
        "    assert run([command, '--help'] if command else ['--help']) == 0\n"
        f"    found[command] = [name for name in {HEAVY} if name in sys.modules]\n"
        "sys.stderr.write(json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-c", code, *COMMANDS], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == {command: [] for command in ("", *COMMANDS)}
    assert "--per-class" in done.stdout
