"""Memory for states, reused from call to call."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from hybridqies.engine.tables import Array

# Bytes of a cache line, and of a huge page.
_LINE, _HUGE_PAGE = 64, 2**21
# Smaller arrays are cheap to allocate; more bytes than this are never kept.
_LEAST, _MOST = 2**21, 2**28


class Workspace:
    """Arrays freed by earlier calls, for reuse by the next; plans may share one.

    The system clears the memory of every large array that is allocated, which took a fifth of a training
    step on 18 qubits. The arrays freed last are kept, 256 MiB at most.
    """

    def __init__(self) -> None:
        self._free: list[Array] = []
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """The bytes that are held for the next calls."""
        with self._lock:
            return sum(array.nbytes for array in self._free)

    def empty(self, rows: int, width: int, kind: Any) -> Array:
        """An array (rows, width) of any content."""
        with self._lock:
            for at in range(len(self._free) - 1, -1, -1):
                if self._free[at].shape == (rows, width) and self._free[at].dtype == kind:
                    return self._free.pop(at)
        return _aligned(rows, width, kind)

    def take_back(self, *arrays: Array) -> None:
        """Keeps arrays that are no longer in use, and drops the oldest to make room."""
        with self._lock:
            self._free += [each for each in arrays if _LEAST <= each.nbytes <= _MOST]
            held = sum(array.nbytes for array in self._free)
            while held > _MOST:
                held -= self._free.pop(0).nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Workspace.__init__(self)


def _aligned(rows: int, width: int, kind: Any) -> Array:
    """An empty array that starts at a cache line, so that no vector crosses two.

    A large one starts at a huge page: the system clears fewer, larger pages.
    """
    count = rows * width * kind.itemsize
    edge = _HUGE_PAGE if count > 2 * _HUGE_PAGE else _LINE
    room = np.empty(count + edge, np.uint8)
    first = -room.ctypes.data % edge
    aligned: Array = room[first : first + count].view(kind).reshape(rows, width)
    return aligned
