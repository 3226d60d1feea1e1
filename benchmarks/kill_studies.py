"""Kills a running study at random moments until it is through: no trial may be lost, and none repeated.

    python benchmarks/kill_studies.py --kind sweep --kills 50
    python benchmarks/kill_studies.py --kind scale --kills 50

A sweep trains heads on the built-in data with the packaged encoder, whose embeddings are cached first; a
scaling study trains small language models on a short text. Both run on two worker processes. The study
is killed (SIGKILL) and resumed at random times, some of them before its first trial and most inside trials.
When it is through it is compared with one never disturbed, and the next begins, until --kills are spent.
Exits 1 unless every trial has exactly one record, the records are those of the undisturbed study but for
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
SWEEP = (
    "--per-class 60 --qubits 2,3,4 --seeds 4 --arms dressed,matched-mlp,logistic,svc --set training.epochs=10"
)
SCALE = "--sizes 8k,16k --arms real,tap,entangled --seeds 3 --n-tokens 8k --search-tokens 2k"
STUDIES = {"sweep": (["sweep"], SWEEP.split()), "scale": (["scale", "run"], SCALE.split())}
WORKERS = ["--workers", "2", "--json"]


def main() -> None:
    """Runs the comparison and prints one line a kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=STUDIES, default="sweep")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        whole, cut = Path(temporary, "whole"), Path(temporary, "cut")
        subprocess.run(_command(given.kind, whole), check=True, stdout=subprocess.DEVNULL)
        print(f"undisturbed: {len(_records(whole))} trials", flush=True)
        kills, through, faults = 0, 0, list[str]()
        while kills < given.kills or cut.exists():
            if kills < given.kills and _killed(given.kind, cut, draw):
                kills += 1
                done = len(_records(cut)) if cut.exists() else 0
                print(f"kill {kills}: {done} trials recorded", flush=True)
                continue
            if kills == given.kills:
                subprocess.run(_command(given.kind, cut), check=True, stdout=subprocess.DEVNULL)
            faults += _faults(whole, cut)
            through += 1
            print(f"through: {len(faults)} faults so far", flush=True)
            shutil.rmtree(cut)
    print("\n".join(faults) or f"{kills} kills; {through} studies lost no trial and repeated none")
    sys.exit(bool(faults))


def _command(kind: str, folder: Path) -> list[str]:
    words, flags = STUDIES[kind]
    if kind == "scale":
        flags = [*flags, "--data", str(_text(folder.parent))]
    flags = ["--resume"] if (folder / "study.toml").exists() else flags
    return [sys.executable, "-c", MAIN, *words, *flags, *WORKERS, "--out", str(folder)]


def _text(folder: Path) -> Path:
    """A short text, so that most of a trial is training."""
    path = folder / "text.txt"
    if not path.exists():
        path.write_text(" ".join(str(at * at) for at in range(4000)))
    return path


def _killed(kind: str, folder: Path, draw: random.Random) -> bool:
    """Whether a study was killed before it was through, a moment after so many more lines in its journal."""
    process = subprocess.Popen(_command(kind, folder), stdout=subprocess.DEVNULL)
    before, lines, moment = _lines(folder), draw.randrange(30), 0.3 * draw.random()
    while process.poll() is None and _lines(folder) < before + lines:
        time.sleep(0.005)
    time.sleep(moment)
    process.kill()
    code = process.wait()
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"a study ended with exit code {code}")
    return code != 0


def _lines(folder: Path) -> int:
    path = folder / "trials.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _events(folder: Path) -> list[dict[str, Any]]:
    """The journal's whole lines, behind the one that names its format."""
    path = folder / "trials.jsonl"
    content = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()[1:]]


def _records(folder: Path) -> dict[str, Any]:
    done = (event for event in _events(folder) if event["event"] == "done")
    return {event["key"]: _without_times(event["record"]) for event in done}


def _without_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_times(each) for each in value]
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if not name.endswith(("seconds", "per_second"))}
        return {name: _without_times(each) for name, each in kept.items()}
    return value


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
