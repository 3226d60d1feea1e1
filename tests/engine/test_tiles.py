"""Batches, tiles and threads: none of them changes a value."""

from __future__ import annotations

import math
import multiprocessing
from typing import Any

import numpy as np
import pytest
import torch
from engine.kernel_runs import BATCHES, DOUBLE, SINGLE, encoder, value_and_gradients
from large_states import as_large_states
from references import inputs_of
from strategies import case_of

from hybridqies.circuit import Circuit, Start, Weight, feature, gate
from hybridqies.engine import (
    Rules,
    compile_plan,
    expectations,
    tiles,
)
from hybridqies.engine.call import lanes_of
from hybridqies.engine.workers import each_part

# Of batches, tiles and threads


@pytest.mark.parametrize(
    ("n_qubits", "itemsize", "widths"),
    [(6, 4, {1: 1, 2: 8, 8: 8, 9: 16, 100: 16}), (6, 8, {1: 1, 2: 8, 9: 8}), (18, 4, {1: 1, 2: 8, 9: 8})],
)
def test_a_tile_is_the_narrowest_that_takes_the_batch(n_qubits, itemsize, widths):
    assert {batch: lanes_of(n_qubits, batch, itemsize) for batch in widths} == widths


@pytest.mark.parametrize("batch", [1, 9, 33])
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_threads_change_no_bit(threads, path, batch, dtype):
    case = case_of(encoder(5, 2), seed=batch, batch=batch)
    rules = Rules(block_qubits=3)
    threads(1)
    alone = value_and_gradients(case, dtype, rules)
    for count in (2, 3, 5):
        threads(count)
        assert all(map(torch.equal, alone, value_and_gradients(case, dtype, rules)))


def test_threads_change_no_bit_of_a_product_start(threads, path):
    case = case_of(encoder(5, 2, Start.ZERO), seed=1, batch=9)
    threads(1)
    alone = value_and_gradients(case)
    threads(3)
    assert all(map(torch.equal, alone, value_and_gradients(case)))


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_both_ways_through_the_kernels_agree(dtype):
    case = case_of(encoder(6, 2), seed=1, batch=9)
    whole = value_and_gradients(case, dtype)
    for width in (None, 2, 5):
        with as_large_states():
            in_pieces = value_and_gradients(case, dtype, Rules(block_qubits=width))
        for ours, theirs in zip(in_pieces, whole, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 if dtype == DOUBLE else 1e-5)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_sample_does_not_feel_its_batch(path, batch):
    case = case_of(encoder(3, 2), seed=batch, batch=batch)
    plan = compile_plan(case.circuit)
    features, weights, amplitudes = inputs_of(case, wants_gradient=True)
    together = expectations(plan, features, weights, amplitudes)
    gradients = torch.autograd.grad(together.sum(), [features, amplitudes])
    for b in range(batch):
        one = [each[b : b + 1].detach().requires_grad_() for each in (features, amplitudes)]
        alone = expectations(plan, one[0], weights, one[1])
        assert torch.equal(together[b : b + 1], alone)
        for ours, theirs in zip(gradients, torch.autograd.grad(alone.sum(), one), strict=True):
            assert torch.equal(ours[b : b + 1], theirs)


def test_a_sample_that_is_not_a_number_stays_alone(path):
    circuit = Circuit.of(2, [gate("RX", 0, feature(0)), gate("CRY", (0, 1), Weight(0))])
    features = torch.linspace(0, 1, 9, dtype=DOUBLE)[:, None]
    features[4] = math.nan
    with torch.no_grad():
        values = expectations(compile_plan(circuit), features, torch.ones(1, dtype=DOUBLE))
    assert values.isnan().any(dim=1).tolist() == [b == 4 for b in range(9)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_error_in_a_thread_is_not_lost(count):
    done: list[Any] = []

    def run(first, last):
        if last == 10:
            raise ValueError("the last part")
        done.extend(range(first, last))

    with pytest.raises(ValueError, match="the last part"):
        each_part(run, 10, count)
    # Nobody goes on while another still works.
    assert sorted(done) == list(range(10 * (count - 1) // count))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_error_in_a_tile_is_not_lost(monkeypatch, threads, count):
    real = tiles.forward_tiles

    def fail_late(flat, inputs, amplitudes, first, last, *others):
        if last == 5:
            raise ValueError("the fifth tile")
        real(flat, inputs, amplitudes, first, last, *others)

    threads(count)
    case = case_of(encoder(2, 1), seed=0, batch=33)
    value_and_gradients(case)
    monkeypatch.setattr(tiles, "forward_tiles", fail_late)
    with pytest.raises(ValueError, match="the fifth tile"):
        value_and_gradients(case)


@pytest.mark.parametrize("threads_asked", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_parts_cover_everything_once(count, threads_asked):
    parts = []
    each_part(lambda first, last: parts.append((first, last)), count, threads_asked)
    assert sorted(at for first, last in parts for at in range(first, last)) == list(range(count))
    assert len(parts) == max(1, min(count, threads_asked))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own(threads, path):
    threads(2)
    case = case_of(encoder(5, 1), seed=0, batch=33)
    expected = value_and_gradients(case)
    forks = multiprocessing.get_context("fork")
    answers = forks.SimpleQueue()

    def compute():
        answers.put([each.tolist() for each in value_and_gradients(case)])

    process = forks.Process(target=compute)
    process.start()
    process.join(timeout=60)
    if process.is_alive():
        process.kill()
        pytest.fail("the forked process waits for threads that it does not have")
    assert process.exitcode == 0
    assert answers.get() == [each.tolist() for each in expected]
    assert all(map(torch.equal, expected, value_and_gradients(case)))
