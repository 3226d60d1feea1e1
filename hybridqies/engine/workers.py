"""Threads for kernels that release the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache


def each_part(run: Callable[[int, int], None], count: int, threads: int) -> None:
    """Calls `run(first, last)` for up to `threads` even parts of range(count), the first of them here."""
    threads = min(threads, count)
    if threads <= 1:
        run(0, count)
        return
    bounds = [count * t // threads for t in range(threads + 1)]
    pool = _pool(os.getpid(), threads - 1)
    others = [pool.submit(run, bounds[t], bounds[t + 1]) for t in range(1, threads)]
    try:
        run(bounds[0], bounds[1])
    finally:
        # Also after an error: the other threads still write into arrays of the caller.
        errors = [other.exception() for other in others]
    for error in errors:
        if error is not None:
            raise error


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001
    """Threads kept between calls. A forked process doesn't inherit them; the process id gets it its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="hybridqies")
