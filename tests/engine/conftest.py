"""Ways through the kernels that tests ask for."""

from __future__ import annotations

import pytest
import torch
from large_states import as_large_states

from hybridqies.engine import (
    cpu_kernels,
)


@pytest.fixture
def threads(monkeypatch):
    """Sets torch's number of threads, which even the smallest plan then uses."""
    monkeypatch.setattr(cpu_kernels, "_WORTH_A_THREAD", 0)
    return torch.set_num_threads


@pytest.fixture(params=[False, True], ids=["whole tiles", "pieces"])
def path(request):
    """Both ways through the CPU kernels: a thread a tile, and all threads on the pieces of one."""
    if not request.param:
        yield "whole tiles"
        return
    with as_large_states():
        yield "pieces"
