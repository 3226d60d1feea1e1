"""Short versions of the scripts that kill, race, starve and damage; each forks processes and ends them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import BENCHMARKS

# Scripts one after another as commands: what they fork is imported once for all.
COMMANDS = """
import json, runpy, sys
for words in json.loads(sys.argv[1]):
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        print(f"{words[0]}: exit code {int(ended.code or 0)}", flush=True)
"""


def run(scripts: list[list[str]], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(scripts)],
        cwd=BENCHMARKS,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR": str(folder), "HOME": str(folder)}
        | {"PYTHONPATH": str(BENCHMARKS.parent), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="sets limits and mounts as Linux does")
@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param(
            {
                "2 kills, ": ["kill_training.py", "--kills", "2"],
                "2 inputs, ": ["hostile_inputs.py", "--only", "deep JSON"],
                "4 kills, ": ["kill_cache.py", "--kills", "4"],
                "1 pairs: ": ["release_pairs.py", "--pairs", "1"],
                "jobs/jobs.jsonl: ": ["mutate_records.py", "--mutations", "3", "--only", "jobs"],
            },
            id="short",
        ),
        pytest.param(
            {
                "study/trials.jsonl: ": ["mutate_records.py", "--mutations", "3"],
                "KiB: fits": ["fill_disk.py", "--step", "64"],
            },
            id="long",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_no_faults(scripts: dict[str, list[str]], tmp_path: Path) -> None:
    out = run(list(scripts.values()), tmp_path)
    for said, (name, *_) in scripts.items():
        assert said in out, out
        assert f"{name}: exit code 0\n" in out, out
    assert out.count("0 faults\n") == len(scripts), out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sends POSIX signals")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kill_studies.py", "--kills", "3"], "studies lost no trial and repeated none"),
        (["kill_studies.py", "--kind", "scale", "--kills", "3"], "studies lost no trial and repeated none"),
        (["kill_jobs.py", "--evaluations", "1"], "every job was accepted exactly once"),
    ],
)
def test_nothing_is_lost_or_done_twice(words: list[str], said: str, tmp_path: Path) -> None:
    assert said in run([words], tmp_path)


def test_faults_end_a_script_with_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import stress\nstress.main(lambda folder, many: ['a fault'] * many, 'Breaks.', many=0)\n"
    )
    script = str(tmp_path / "broken.py")
    out = run([[script], [script, "--many", "2"]], tmp_path)
    assert out == f"{script}: exit code 0\n{script}: exit code 1\n"
