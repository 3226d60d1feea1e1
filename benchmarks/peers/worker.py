"""One process of the comparison, in the peer's environment: `python -m peers.worker`."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from peers.workload import Prepared, Result, Timing, Workload, write_result

# Modules whose versions are kept where they were imported, and the distributions they come from.
REPORTED = {
    "hybridqies": "hybridqies",
    "numpy": "numpy",
    "torch": "torch",
    "numba": "numba",
    "pennylane": "pennylane",
    "pennylane_lightning.lightning_qubit": "pennylane-lightning",
    "pennylane_lightning.lightning_gpu": "pennylane-lightning-gpu",
    "deepquantum": "deepquantum",
    "tensorcircuit": "tensorcircuit-ng",
    "jax": "jax",
    "pyqtorch": "pyqtorch",
}
# A step that takes longer than this many seconds is timed once more, not several times.
LONG, FEWEST, MOST = 10.0, 3, 300


def main() -> None:
    """Runs one workload on one peer and stores what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("workload", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="for the steady steps; 0: no more than one call"
    )
    parser.add_argument("--memory", type=int, help="bytes it may hold; an allocation beyond them fails")
    given = parser.parse_args()
    _limit(given.threads, given.memory)
    work = Workload.read(given.workload)
    prepare: Callable[[Workload], Prepared] = importlib.import_module(given.module).prepare
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(given.threads)
    timing, result = measure(prepare, work, given.threads, given.seconds)
    write_result(given.result, timing, result)


def measure(
    prepare: Callable[[Workload], Prepared], work: Workload, threads: int, seconds: float
) -> tuple[Timing, Result]:
    """Times the first call, a warm-up and steady steps; the result is the last step's."""
    import_bytes = _peak_bytes()
    begin = time.perf_counter()
    prepared = prepare(work)
    result = prepared.step()
    first = time.perf_counter() - begin
    if seconds == 0:
        warm_up, steps = first, [first]
    else:
        warm_up, result = _timed(prepared.step)
        steps = []
    while seconds and len(steps) < _wanted(warm_up, seconds):
        took, result = _timed(prepared.step)
        steps.append(took)
    peak = _peak_bytes()
    new_circuit = (
        None if prepared.fresh is None or not seconds or warm_up > LONG else _timed(prepared.fresh)[0]
    )
    timing = Timing(
        precision=prepared.precision,
        first=first,
        warm_up=warm_up,
        steps=tuple(steps),
        peak_bytes=peak,
        import_bytes=import_bytes,
        threads=threads,
        new_circuit=new_circuit,
        versions=_versions(),
        facts=prepared.facts,
    )
    return timing, result


def _timed(step: Callable[[], Result]) -> tuple[float, Result]:
    begin = time.perf_counter()
    result = step()
    return time.perf_counter() - begin, result


def _wanted(warm_up: float, seconds: float) -> int:
    if warm_up > LONG:
        return 1
    return min(MOST, max(FEWEST, int(seconds / max(warm_up, 1e-9))))


def _limit(threads: int, memory: int | None) -> None:
    """The same for all: the memory and the cores this process may use.

    The variables that OpenMP, MKL and Numba read are set by the driver, before this process begins.
    """
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _peak_bytes() -> int:
    """The most memory held so far; getrusage would count what the parent held when it began this."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for module, name in REPORTED.items():
        if module in sys.modules:
            found[name] = version(name)
    return found


if __name__ == "__main__":
    main()
