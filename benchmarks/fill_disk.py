"""Trains into disks of every size: each suffices, or the run ends in one line and goes on with more room.

    python benchmarks/fill_disk.py --step 4

Each disk is --step KiB larger than the last: as root a tmpfs, otherwise a limit on the size of each file.
Exits 1 unless a training that does not fit ends with exit code 2 and one line that names a file, leaves no
temporary file behind, and, resumed or started again with room, ends in the very files of an undisturbed run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import stress

ROOMY = 64 * 1024


def fill(folder: Path, step: int) -> list[str]:
    """What went wrong, from an empty disk to the first that suffices."""
    inputs, log = stress.make_inputs(folder), folder / "log"
    stress.import_everything()
    whole, disk = folder / "whole", folder / "disk"
    ended = stress.run(inputs.train(whole), log)
    if ended.code:
        sys.exit(f"the undisturbed training failed: {ended}")
    disk.mkdir()
    faults, size, fits = list[str](), step, False
    while not fits:
        before = _make_disk(disk, size)
        try:
            ended = stress.run(inputs.train(disk / "run"), log, before)
            fits = ended.code == 0
            problems = _problems(ended, disk)
            _widen(disk)
            again = ended if fits else stress.complete(inputs, disk / "run", log)
            problems += stress.differences(whole, disk / "run") if again.code == 0 else [str(again)]
        finally:
            _remove_disk(disk)
        faults += [f"{size} KiB: {problem}" for problem in problems]
        print(f"{size} KiB: {'fits' if fits else ended.err.strip()[-90:]} {problems or ''}", flush=True)
        size += step
    print(f"{len(faults)} faults")
    return faults


def _problems(ended: stress.Ended, disk: Path) -> list[str]:
    if ended.code == 0:
        return []
    found = [] if ended.is_refusal and str(disk) in ended.err else [f"no such line: {ended}"]
    return found + [f"left behind: {path.name}" for path in disk.rglob(".*-*") if path.is_file()]


def _make_disk(disk: Path, size: int) -> Callable[[], None] | None:
    if os.geteuid():
        return stress.limited_to(size * 1024)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)], check=True)
    return None


def _widen(disk: Path) -> None:
    if not os.geteuid():
        subprocess.run(["mount", "-o", f"remount,size={ROOMY}k", str(disk)], check=True)


def _remove_disk(disk: Path) -> None:
    if os.geteuid():
        shutil.rmtree(disk)
        disk.mkdir()
    else:
        subprocess.run(["umount", str(disk)], check=True)


if __name__ == "__main__":
    stress.main(fill, __doc__, step=4)
