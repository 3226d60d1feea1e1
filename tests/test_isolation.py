"""What one test changes in its process does not reach the next one."""

from __future__ import annotations

import os

import pytest
import torch

THREADS = int(os.environ["OMP_NUM_THREADS"].partition(",")[0])


@pytest.mark.parametrize("more", [1, 2])
def test_each_starts_with_the_same_number_of_threads(more: int) -> None:
    assert torch.get_num_threads() == THREADS
    torch.set_num_threads(THREADS + more)
    assert torch.get_num_threads() == THREADS + more
