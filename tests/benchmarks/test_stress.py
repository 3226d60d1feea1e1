"""Short versions of the scripts that kill, race, starve and damage; each is a process that forks others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.skipif(sys.platform != "linux", reason="sets limits and mounts as Linux does")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (["kill_training.py", "--kills", "6"], "6 kills"),
        (["hostile_inputs.py", "--only", "deep JSON"], "2 inputs"),
        (["release_pairs.py", "--pairs", "2"], "2 pairs"),
        (["mutate_records.py", "--mutations", "3", "--only", "jobs"], "jobs/jobs.jsonl: "),
        pytest.param(["mutate_records.py", "--mutations", "3"], "study/trials.jsonl", marks=pytest.mark.slow),
        pytest.param(["fill_disk.py", "--step", "64"], "KiB: fits", marks=pytest.mark.slow),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_no_faults(script: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *script],
        cwd=BENCHMARKS,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
        | {"PYTHONPATH": str(BENCHMARKS.parent), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout
    assert "0 faults" in done.stdout
