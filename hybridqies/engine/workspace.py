"""Memory for states, handed on from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridqies.engine.tables import Array

# Bytes of a cache line, and of a huge page.
_LINE, _HUGE_PAGE = 64, 2**21
# Smaller arrays cost nothing to get; what is larger in sum is not held back from others.
_LEAST, _MOST = 2**21, 2**28


class Workspace:
    """The arrays that calls of one plan have done with, for its next calls.

    A large array that is freed goes back to the system, which clears it before it is had again: with
    18 qubits that took a fifth of a step.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, int, Any], list[Array]] = {}

    def empty(self, rows: int, width: int, kind: Any) -> Array:
        """An array (rows, width) of any content."""
        try:
            # One step, so that no two threads get the same.
            return self._free[rows, width, kind].pop()
        except (KeyError, IndexError):
            return _aligned(rows, width, kind)

    def take_back(self, *arrays: Array) -> None:
        """Takes arrays that nobody uses any more."""
        for each in arrays:
            held = sum(array.nbytes for free in list(self._free.values()) for array in list(free))
            if _LEAST <= each.nbytes <= _MOST - held:
                self._free.setdefault((*each.shape, each.dtype), []).append(each)


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
