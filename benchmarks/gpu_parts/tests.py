"""The tests that need a card."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gpu_parts.cells import Row, Run

ROOT = Path(__file__).resolve().parents[2]
OUTCOMES = ("passed", "failed", "errors", "skipped")
# Kernels are on disk by then: the tests take what their imports and the CPU's answers take.
EXPECTED = {"tests": [("imports, and about 90 tests", 1, 45.0)]}


def run_tests(run: Run) -> list[Row]:
    """Runs every test that is marked gpu, and counts them."""
    files = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "pytest.mark.gpu" in path.read_text()
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    seconds = max(1.0, run.left())
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return [{"files": len(files), "left out": f"not done after {seconds:.0f} s", "failed": True}]
    last = ((done.stdout.strip() or done.stderr.strip()).splitlines() or ["no output"])[-1]
    counts = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", last) if name in OUTCOMES}
    # On a card none may be skipped for want of one; without a card all are.
    failed = done.returncode != 0 or (run.device.type == "cuda" and not counts.get("passed"))
    return [{"files": len(files), **counts, "pytest": last, "failed": failed}]
