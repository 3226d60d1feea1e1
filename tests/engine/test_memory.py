"""The memory that a pass takes is what was announced."""

from __future__ import annotations

import tracemalloc

import pytest
import torch
from engine.kernel_runs import DOUBLE, encoder
from references import inputs_of
from strategies import case_of

from hybridqies.circuit import Circuit, Start, Weight, gate, load_circuit
from hybridqies.engine import (
    Rules,
    bytes_needed,
    compile_plan,
    expectations,
)
from hybridqies.engine.plan import Plan

# Of memory


def peak_of_arrays(
    circuit: Circuit, batch: int, *, backwards: bool = True, rules: Rules | None = None
) -> int:
    """The largest number of bytes held by arrays of numpy and of compiled code during a pass."""
    inputs = inputs_of(case_of(circuit, seed=0, batch=batch), wants_gradient=backwards)

    def run(plan: Plan) -> None:
        values = expectations(plan, *inputs)
        if backwards:
            values.sum().backward()

    run(compile_plan(circuit, rules=rules))
    peaks = []
    tracemalloc.start()
    try:
        # What else is alive in the process can only add: the least of three is what a pass takes.
        for _ in range(3):
            # A new one, which holds no arrays of an earlier call.
            plan = compile_plan(circuit, rules=rules)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            run(plan)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return min(peaks)


def test_memory_does_not_grow_with_depth(threads, path):
    threads(1)
    n_qubits, batch = 10, 64
    state = 16 * batch * 2**n_qubits
    n_steps, peaks = {}, {}
    # Blocks as wide as they are in earnest: hundreds of narrow ones would be half of what is counted.
    rules = Rules(block_qubits=7 if path == "pieces" else None)
    for n_gates in (10, 100, 500):
        gates = [gate("RX", i % n_qubits, Weight(i)) for i in range(n_gates)]
        between = [gate("CZ", (i % n_qubits, (i + 1) % n_qubits)) for i in range(n_gates)]
        circuit = Circuit.of(n_qubits, [each for pair in zip(gates, between, strict=True) for each in pair])
        n_steps[n_gates] = len(compile_plan(circuit).steps)
        peaks[n_gates] = peak_of_arrays(circuit, batch, rules=rules)
    assert n_steps[100] > 8 * n_steps[10]
    assert n_steps[500] > 4 * n_steps[100]
    # A state of each sample, and a bra of one tile.
    assert state < peaks[10] < 1.2 * state
    # What grows: matrices of two steps, cosines and gradients, these for each tile and each piece.
    of_a_gate = 2 * 64 + 16 + 8 * (batch // 8) + 3 * 2 * 8 * (2 if path == "whole tiles" else 8)
    for n_gates in (100, 500):
        grown = peaks[n_gates] - peaks[10]
        assert grown < of_a_gate * n_gates + 10_000
        assert grown < 0.7 * state


@pytest.mark.parametrize("batch", [3, 40])
def test_the_memory_that_is_announced_is_used(threads, path, batch):
    threads(1)
    for circuit in (encoder(11, 1, Start.ZERO), load_circuit("long-range-encoder", 11)):
        plan = compile_plan(circuit)
        announced = bytes_needed(plan, torch.zeros(batch, 11, dtype=DOUBLE), None)
        assert announced == (-(-batch // 8) + 1) * 8 * (1 if plan.is_real else 2) * 8 * 2**11
        # The gradient of amplitudes counts as an input.
        beside = 8 * batch * 2**11 if circuit.start is Start.AMPLITUDES else 0
        rules = Rules(block_qubits=7 if path == "pieces" else None)
        peak = peak_of_arrays(circuit, batch, rules=rules)
        assert announced < peak - beside < 1.25 * announced


def test_no_thread_has_more_than_a_bra(threads):
    threads(3)
    circuit = encoder(12, 2, Start.ZERO)
    announced = bytes_needed(compile_plan(circuit), torch.zeros(48, 12, dtype=DOUBLE), None)
    tile = 8 * 16 * 2**12
    assert announced == (6 + 3) * tile
    # How many bras there are at once is up to the threads.
    assert 7 * tile < peak_of_arrays(circuit, 48) < 1.1 * announced


def test_one_sample_of_many_qubits_takes_two_states():
    plan = compile_plan(Circuit.of(24, [gate("RX", 0, Weight(0))]))
    assert bytes_needed(plan, torch.zeros(1, 0), None) == 2 * 8 * 2**24


def test_without_gradients_no_state_is_kept(threads, path):
    threads(1)
    batch, n_qubits = 40, 10
    peak = peak_of_arrays(encoder(n_qubits, 1, Start.ZERO), batch, backwards=False)
    tile = 8 * 16 * 2**n_qubits
    assert 0.95 * tile < peak < 1.5 * tile
