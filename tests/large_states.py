"""Tiny circuits on the way that the engine keeps for states larger than a core's cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hybridqies.engine import large_tiles, plan


@contextmanager
def as_large_states(whole_qubits: int = 0, block_qubits: int = 2, n_pieces: int = 3) -> Iterator[None]:
    """Inside, plans of more qubits than this go through `large_tiles`, with each pass cut up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "WHOLE_QUBITS", whole_qubits)
        patch.setattr(plan, "BLOCK_QUBITS", block_qubits)
        patch.setattr(large_tiles, "PIECES", n_pieces)
        patch.setattr(large_tiles._each, "__defaults__", (1,))
        yield
