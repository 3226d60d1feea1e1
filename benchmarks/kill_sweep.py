"""Kills a running sweep at random moments until it is through: no trial may be lost, and none repeated.

    python benchmarks/kill_sweep.py --kills 50

Sweeps rows of the built-in data with the packaged encoder, whose embeddings are cached first, on two worker
processes. The sweep is killed (SIGKILL) and resumed at random times, some of them before its first trial.
When it is through it is compared with one never disturbed, and the next begins, until --kills are spent.
Exits 1 unless every trial has exactly one record, the records are those of the undisturbed sweep but for
their times, and no trial that had a record was begun again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

MAIN = "from hybridqies.cli import main; main()"
FLAGS = [
    "--per-class",
    "60",
    "--qubits",
    "2,3,4",
    "--seeds",
    "4",
    "--arms",
    "dressed,matched-mlp,logistic,svc",
]
FLAGS += ["--set", "training.epochs=10", "--workers", "2", "--json"]


def main() -> None:
    """Runs the comparison and prints one line a kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        whole, cut = Path(temporary, "whole"), Path(temporary, "cut")
        subprocess.run(_command(whole), check=True, stdout=subprocess.DEVNULL)
        print(f"undisturbed: {len(_records(whole))} trials", flush=True)
        kills, through, faults = 0, 0, list[str]()
        while kills < given.kills or cut.exists():
            if kills < given.kills and _killed(cut, draw):
                kills += 1
                done = len(_records(cut)) if cut.exists() else 0
                print(f"kill {kills}: {done} trials recorded", flush=True)
                continue
            if kills == given.kills:
                subprocess.run(_command(cut), check=True, stdout=subprocess.DEVNULL)
            faults += _faults(whole, cut)
            through += 1
            print(f"through: {len(faults)} faults so far", flush=True)
            shutil.rmtree(cut)
    print("\n".join(faults) or f"{kills} kills; {through} sweeps lost no trial and repeated none")
    sys.exit(bool(faults))


def _command(folder: Path) -> list[str]:
    flags = ["--resume", "--workers", "2", "--json"] if (folder / "study.toml").exists() else FLAGS
    return [sys.executable, "-c", MAIN, "sweep", *flags, "--out", str(folder)]


def _killed(folder: Path, draw: random.Random) -> bool:
    """Whether a sweep was killed before it was through, a moment after so many more lines in its journal."""
    process = subprocess.Popen(_command(folder), stdout=subprocess.DEVNULL)
    before, lines, moment = _lines(folder), draw.randrange(30), 0.3 * draw.random()
    while process.poll() is None and _lines(folder) < before + lines:
        time.sleep(0.005)
    time.sleep(moment)
    process.kill()
    code = process.wait()
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"a sweep ended with exit code {code}")
    return code != 0


def _lines(folder: Path) -> int:
    path = folder / "trials.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _events(folder: Path) -> list[dict[str, Any]]:
    """The journal's whole lines, behind the one that names its format."""
    path = folder / "trials.jsonl"
    content = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()[1:]]


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    found = {event["key"]: dict(event["record"]) for event in _events(folder) if event["event"] == "done"}
    for record in found.values():
        record.pop("seconds")
    return found


def _faults(whole: Path, cut: Path) -> list[str]:
    wanted, found = _records(whole), _records(cut)
    faults = [f"lost or invented: {key}" for key in wanted.keys() ^ found.keys()]
    faults += [f"other numbers: {key}" for key in wanted.keys() & found.keys() if wanted[key] != found[key]]
    written = Counter(event["key"] for event in _events(cut) if event["event"] == "done")
    faults += [f"recorded {count} times: {key}" for key, count in written.items() if count > 1]
    over: set[str] = set()
    for event in _events(cut):
        if event["event"] == "claimed" and event["key"] in over:
            faults.append(f"begun again after its record: {event['key']}")
        if event["event"] in ("done", "failed"):
            over.add(event["key"])
    return faults


if __name__ == "__main__":
    main()
