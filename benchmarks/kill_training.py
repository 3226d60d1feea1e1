"""Kills trainings from their first millisecond on: each must go on to the model that it would have become.

    python benchmarks/kill_training.py --kills 200

A third of the kills (SIGKILL) comes in the first 50 milliseconds, a third at any time until the end, and a
third just before one of the run's changes of files and folders. Then the run is resumed, or, where it had
not begun, started again by the same command. Exits 1 unless every one ends in the very files of a run that
was never disturbed: weights and pictures bit for bit, results but for their times, nothing more and nothing
less in the folder.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import stress


def kill(folder: Path, kills: int, seed: int) -> list[str]:
    """What went wrong in so many kills."""
    draw = random.Random(seed)
    inputs, log = stress.make_inputs(folder), folder / "log"
    stress.import_everything()
    whole, cut = folder / "whole", folder / "cut"
    read, write = os.pipe()
    ended = stress.run(inputs.train(cut), log, stress.counted(write))
    if ended.code:
        sys.exit(f"the undisturbed training failed: {ended}")
    # A pipe holds 64 KiB, and a training makes a few hundred changes.
    changes = len(os.read(read, 65536))
    # In the same place: pictures and records hold no path, and if they did it would not count.
    cut.rename(whole)
    print(f"undisturbed: {ended.seconds:.2f} s, {changes} changes of files and folders", flush=True)
    faults, died, resumed = list[str](), 0, 0
    while died < kills:
        way = died % 3
        before = stress.killed_at(draw.randrange(changes)) if way == 2 else None
        seconds = (0.05 * draw.random(), ended.seconds * draw.random(), None)[way]
        met = stress.run(inputs.train(cut), log, before, kill_after=seconds)
        died += met.code == -9
        begun = (cut / "config.json").exists()
        resumed += begun and met.code == -9
        again = stress.complete(inputs, cut, log)
        problems = stress.differences(whole, cut) if again.code == 0 else [str(again)]
        faults += [f"kill {died} ({'begun' if begun else 'not begun'}): {problem}" for problem in problems]
        print("\n".join(faults[-len(problems) :]), end="\n" if problems else "", flush=True)
        shutil.rmtree(cut, ignore_errors=True)
        if met.code == -9 and died % 20 == 0:
            print(f"{died} kills, {len(faults)} faults", flush=True)
    print(f"{died} kills, {resumed} of them after the run had begun; {len(faults)} faults")
    return faults


if __name__ == "__main__":
    stress.main(kill, __doc__, kills=200, seed=0)
