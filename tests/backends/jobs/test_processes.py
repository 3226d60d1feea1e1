"""Real processes over one journal and one service: killed at random, or at work side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hybridqies.backends.jobs import Journal

WORKING = """
import os, random, signal, sys, time
from pathlib import Path
from backends.jobs.fake_provider import FakeProvider, Fault, Service, outcomes, some_work
from hybridqies.backends.jobs import JobRunner, Journal, Limits, Retry

folder, work = Path(sys.argv[1]), some_work(12)
faults = [None] * 9 + [Fault.BUSY, Fault.LOST, Fault.UNSENT]
retry = Retry(tries=99, first_seconds=0.001, settle_seconds=0.02, poll_seconds=0.001)

def evaluate(seed):
    draw = random.Random(seed)
    def fault(verb):
        time.sleep(0.002 * draw.random())
        return draw.choice(faults)
    provider = FakeProvider(Service(folder / "service.json"), fault)
    counts = JobRunner(provider, Journal(folder / "jobs.jsonl"), Limits(), retry).run(work)
    os._exit(0 if counts == outcomes(work) else 3)

def start(seed, at=0.0):
    child = os.fork()
    if child == 0:
        try:
            time.sleep(max(0.0, at - time.monotonic()))
            evaluate(seed)
        finally:
            os._exit(4)
    return child

def killed(child, after):
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
"""

KILLING = """
draw, kills = random.Random(int(sys.argv[2])), 0
for seed in range(100):
    if kills == 12 or not killed(start(seed), 0.04 * draw.random()):
        break
    kills += 1
print(kills, os.waitstatus_to_exitcode(os.waitpid(start(200), 0)[1]))
"""

SIDE_BY_SIDE = """
soon = time.monotonic() + 0.2
children = [start(seed, soon) for seed in range(4)]
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def output(script: str, folder: Path, *arguments: str) -> list[int]:
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests", *sys.path])}
    command = [sys.executable, "-c", WORKING + script, str(folder), *arguments]
    done = subprocess.run(command, env=paths, capture_output=True, text=True, check=True, timeout=120)
    return [int(word) for word in done.stdout.split()]


def check(folder: Path) -> None:
    """Every job was accepted once, is completed, and was seen to by one process at a time."""
    from backends.jobs.fake_provider import Service, some_work

    parts = sorted(part.key() for part in some_work(12).split(4))
    assert sorted(Service(folder / "service.json").labels()) == parts
    events = [json.loads(line).get("event") for line in (folder / "jobs.jsonl").read_text().splitlines()]
    assert (events.count("intent"), events.count("submitted")) == (len(parts), len(parts))
    records = Journal(folder / "jobs.jsonl").records()
    assert sorted(records) == parts
    assert all(record.counts is not None for record in records.values())


def test_killed_at_random(tmp_path: Path) -> None:
    kills, code = output(KILLING, tmp_path, "1")
    assert kills >= 3
    assert code == 0
    check(tmp_path)


def test_side_by_side(tmp_path: Path) -> None:
    assert output(SIDE_BY_SIDE, tmp_path) == [0, 0, 0, 0]
    check(tmp_path)
