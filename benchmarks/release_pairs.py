"""Releases pairs of trainings together into one folder: one has it, and the other is refused in one line.

    python benchmarks/release_pairs.py --pairs 32

The two of a pair have other seeds and wait for each other at a barrier. Exits 1 unless one of them ends with
exit code 0, the folder holds the very files of that one, and the other ends with exit code 2 and one line.
Every other pair is told to overwrite: there the second may begin when the first is through, and end with
0 as well.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import stress


def release(folder: Path, pairs: int) -> list[str]:
    """What went wrong in so many pairs."""
    inputs, log = stress.make_inputs(folder), folder / "log"
    stress.import_everything()
    alone = []
    for seed in (0, 1):
        ended = stress.run(inputs.train(folder / "one", "--seed", str(seed)), log)
        if ended.code:
            sys.exit(f"a training alone failed: {ended}")
        alone.append((folder / "one").rename(folder / f"alone-{seed}"))
    faults, seen = list[str](), Counter[str]()
    for pair in range(pairs):
        more = ["--overwrite"] if pair % 2 else []
        ends = _release(inputs, folder / "one", more)
        codes = sorted(ended.code if ended.code is not None else 99 for ended in ends)
        same = [seed for seed in (0, 1) if not stress.differences(alone[seed], folder / "one")]
        winners = [seed for seed in (0, 1) if ends[seed].code == 0]
        refused = all(ended.is_refusal for ended in ends if ended.code != 0)
        # With --overwrite the second may begin after the first has ended.
        good = (
            refused
            and len(same) == 1
            and same[0] in winners
            and (codes == [0, 2] or (more and codes == [0, 0]))
        )
        seen[f"{codes}{' overwriting' if more else ''}: {'whole' if good else 'FAULT'}"] += 1
        if not good:
            faults.append(f"pair {pair}: {codes}, like {same}: {[ended.err[-200:] for ended in ends]}")
            print(faults[-1], flush=True)
        shutil.rmtree(folder / "one", ignore_errors=True)
    print(f"{pairs} pairs: {dict(seen)}; {len(faults)} faults")
    return faults


def _release(inputs: stress.Inputs, out: Path, more: list[str]) -> list[stress.Ended]:
    """Starts both, and lets them go when both are there."""
    here, go = os.pipe(), os.pipe()

    def wait() -> None:
        os.write(here[1], b".")
        os.read(go[0], 1)

    logs = [inputs.folder / f"log-{seed}" for seed in (0, 1)]
    children = [
        stress.start(inputs.train(out, "--seed", str(seed), *more), logs[seed], wait) for seed in (0, 1)
    ]
    for _ in children:
        os.read(here[0], 1)
    os.write(go[1], b"..")
    ends = [stress.end(child, log) for child, log in zip(children, logs, strict=True)]
    for descriptor in (*here, *go):
        os.close(descriptor)
    return ends


if __name__ == "__main__":
    stress.main(release, __doc__, pairs=32)
