"""What random draws of a training are seeded with."""

from __future__ import annotations

import torch

from hybridqies.training.numerics import seed_of_epoch, seeded


def test_every_rank_draws_other_numbers():
    """On a CPU torch reads the lowest 32 bits of a seed alone."""
    draws = []
    for rank in range(8):
        for epoch in range(3):
            with seeded(seed_of_epoch(1, epoch, rank), torch.device("cpu")):
                draws.append(float(torch.rand(())))
    assert len(set(draws)) == len(draws)


def test_a_training_of_one_process_draws_what_it_always_drew():
    assert [seed_of_epoch(2, epoch) for epoch in (0, 1)] == [2_000_006, 2_000_007]
