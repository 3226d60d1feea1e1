"""Kills trainings at random moments until they are through, and compares each with one never disturbed.

    python benchmarks/kill_resume.py --kills 20

Trains on the built-in data, few-shot, with the packaged encoder, whose embeddings are cached first. A
training is killed (SIGKILL) and resumed at random times, wherever it is then: in an epoch, while a file
is written, between two heads. When one is through it is compared and the next begins, until --kills are
spent. Exits 1 unless results (without their times) and weights of every head are the same, bit for bit,
and no file more or less lies in the folder.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAIN = "from hybridqies.cli import main; main()"
FLAGS = [
    "--per-class",
    "60",
    "--qubits",
    "6",
    "--epochs",
    "30",
    "--batch-size",
    "8",
    "--compare",
    "logistic,mlp",
]


def main() -> None:
    """Runs the comparison and prints one line a kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=["dropout=0.2"], metavar="KEY=VALUE")
    given = parser.parse_args()
    draw = random.Random(given.seed)
    flags = [*FLAGS, *(word for pair in given.set for word in ("--set", pair))]
    with tempfile.TemporaryDirectory() as temporary:
        whole, cut = Path(temporary, "whole"), Path(temporary, "cut")
        subprocess.run([sys.executable, "-c", MAIN, "encode"], check=True)
        start = time.perf_counter()
        subprocess.run(_command([*flags, "--out", str(whole)]), check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        kills, compared, differences = 0, 0, list[str]()
        while kills < given.kills or (cut / "config.json").exists():
            patience = draw.uniform(0.1, 0.9) * seconds if kills < given.kills else None
            if _killed(flags, cut, patience):
                kills += 1
                print(f"kill {kills}: {_state(cut)}", flush=True)
                continue
            differences += _differences(whole, cut)
            compared += 1
            print(f"through: {len(differences)} differences so far", flush=True)
            shutil.rmtree(cut)
    print("\n".join(differences) or f"{kills} kills; {compared} trainings ended in the very same files")
    sys.exit(bool(differences))


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-c", MAIN, "train", *arguments]


def _arguments(flags: list[str], folder: Path) -> list[str]:
    begun = (folder / "config.json").exists()
    return ["--resume", "--out", str(folder)] if begun else [*flags, "--out", str(folder)]


def _killed(flags: list[str], folder: Path, seconds: float | None) -> bool:
    process = subprocess.Popen(_command(_arguments(flags, folder)), stdout=subprocess.DEVNULL)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    if code:
        sys.exit(f"a training ended with exit code {code}")
    return False


def _state(folder: Path) -> str:
    path = folder / "metrics.jsonl"
    epochs = len(path.read_bytes().splitlines()) if path.exists() else 0
    finished = sorted(found.parent.name for found in folder.rglob("result.json"))
    leftovers = sum(found.name.startswith(".") for found in folder.rglob("*"))
    return f"{epochs} epochs, {len(finished)} finished heads, {leftovers} temporary files"


def _differences(whole: Path, cut: Path) -> list[str]:
    names = [{str(found.relative_to(folder)) for found in folder.rglob("*")} for folder in (whole, cut)]
    found = [f"only in one folder: {name}" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        if name.endswith("model.safetensors") and (whole / name).read_bytes() != (cut / name).read_bytes():
            found.append(f"weights differ: {name}")
        if name.endswith("result.json") and _timeless(whole / name) != _timeless(cut / name):
            found.append(f"results differ: {name}")
    return found


def _timeless(path: Path) -> dict[str, object]:
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}


if __name__ == "__main__":
    main()
