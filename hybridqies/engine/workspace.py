"""Memory for states, reused from call to call."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from hybridqies.engine.tables import Array

# Bytes of a cache line, and of a huge page.
_LINE, _HUGE_PAGE = 64, 2**21
# Smaller arrays cost nothing to get; more than this in sum is left to others.
_LEAST, _MOST = 2**21, 2**28


class Workspace:
    """Arrays freed by earlier calls, for the next ones; shared by the plans of one owner.

    A large array that is freed goes back to the system, which clears it before it is had again: with
    18 qubits that took a fifth of a step. The arrays freed last are kept, 256 MiB at most.
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
        """Takes arrays that nobody uses any more; those taken longest ago make room for them."""
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
    """An empty array that begins with a cache line, so that no vector of it lies across two.

    A large one begins with a huge page, of which the system has to clear fewer.
    """
    count = rows * width * kind.itemsize
    edge = _HUGE_PAGE if count > 2 * _HUGE_PAGE else _LINE
    room = np.empty(count + edge, np.uint8)
    first = -room.ctypes.data % edge
    aligned: Array = room[first : first + count].view(kind).reshape(rows, width)
    return aligned
