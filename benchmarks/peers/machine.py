"""The machine: what it is, and how fast it copies and calculates: `python -m peers.machine OUT`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Bytes of source and destination together: within a core's cache, within the shared one, and beyond both.
COPY_SIZES = tuple(2**power for power in (18, 20, 22, 24, 26, 30))
CHAIN, TIMES = 16, 1000
SECONDS = 0.4


def facts() -> dict[str, Any]:
    """Processor, cores, caches, memory and system; nothing that names the machine."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return {
        "cpu": found[1].strip() if found else platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "caches": _caches(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
    }


def _caches() -> dict[str, str]:
    """Size of each cache that core 0 sees, and how many cores share it."""
    sizes = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        read = {name: (folder / name).read_text().strip() for name in ("level", "type", "size")}
        shared = (folder / "shared_cpu_list").read_text().strip()
        kind = {"Data": "d", "Instruction": "i"}.get(read["type"], "")
        sizes[f"L{read['level']}{kind}"] = f"{read['size']}, cores {shared}"
    return sizes


def measure(threads: int) -> dict[str, Any]:
    """Copy bandwidth by size, in bytes a second read and written, and the rate of float operations."""
    return {
        "threads": threads,
        "copy_bytes_per_s": {str(size): _copy_rate(size, threads) for size in COPY_SIZES},
        "flops_per_s": {dtype: _multiply_add_rate(dtype, threads) for dtype in ("float32", "float64")},
    }


def _copy_rate(size: int, threads: int) -> float:
    """Each thread copies its own block to and fro; one copy repeated would be optimised away."""
    import numba
    import numpy as np

    @numba.njit
    def once(source: Any, target: Any) -> None:
        for at in range(source.size):
            target[at] = source[at]

    @numba.njit(parallel=True)
    def copy(blocks: Any, times: int) -> None:
        for thread in numba.prange(blocks.shape[0]):
            for _ in range(times // 2):
                once(blocks[thread, 0], blocks[thread, 1])
                once(blocks[thread, 1], blocks[thread, 0])

    numba.set_num_threads(threads)
    blocks = np.ones((threads, 2, size // 8 // threads), dtype=np.float32)
    times = max(2, 2**28 // size)
    copy(blocks, 2)
    return blocks.nbytes * times / _best(lambda: copy(blocks, times))


def _multiply_add_rate(dtype: str, threads: int) -> float:
    """Floating-point operations a second: chains of multiply-adds on values in the first cache."""
    import numba
    import numpy as np

    @numba.njit(parallel=True, fastmath={"contract"}, error_model="numpy")
    def run(values: Any, a: Any, b: Any, times: int) -> None:
        for thread in numba.prange(values.shape[0]):
            for _ in range(times):
                for at in range(values.shape[1]):
                    x = values[thread, at]
                    for _ in range(CHAIN):
                        x = x * a + b
                    values[thread, at] = x

    numba.set_num_threads(threads)
    values = np.ones((threads, 1024), dtype=dtype)
    a, b = values.dtype.type(0.999), values.dtype.type(0.001)
    run(values, a, b, 1)
    return 2 * CHAIN * TIMES * values.size / _best(lambda: run(values, a, b, TIMES))


def _best(run: Callable[[], Any]) -> float:
    """The shortest of many runs: what the machine can reach, whatever else it does meanwhile."""
    found: list[float] = []
    while len(found) < 3 or sum(found) < SECONDS:
        begin = time.perf_counter()
        run()
        found.append(time.perf_counter() - begin)
    return min(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    given.out.write_text(json.dumps(measure(given.threads)))
