"""The order in which a card takes a plan's steps."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits

from hybridqies.circuit import Circuit, Weight, gate
from hybridqies.engine import Plan, compile_plan
from hybridqies.engine.cuda.schedule import memory_windows, schedule
from hybridqies.engine.fusion import commute

NUMBER, FLAGS = 0, 9
PRODUCT = 8


def assert_orders_steps(plan: Plan, n_weights: int, width: int, window_rows: int) -> None:
    held = min(3, width)
    part = schedule(plan, n_weights, width, held, window_rows)
    steps, groups, windows = (part.arrays[name].tolist() for name in ("steps", "groups", "windows"))
    order = [row[NUMBER] for row in steps]
    assert sorted(order) == list(range(len(plan.steps)))
    for first, second in combinations(order, 2):
        assert first < second or commute(plan.steps[first], plan.steps[second])
    assert [row[:2] for row in groups] == [[a, b] for a, b in pairwise([0, *(row[1] for row in groups)])]
    for first, last in pairwise(windows):
        assert groups[last - 1][1] - groups[first][0] <= window_rows
    in_product = {row[NUMBER] for row in steps if row[FLAGS] & PRODUCT}
    assert in_product == set(plan.flat.layout.product.tolist()) - {-1}
    assert all(row[FLAGS] & PRODUCT for row in steps[: part.row_first[part.n_product]])
    assert part.row_first[-1] == len(steps)


@settings(max_examples=30, deadline=None)
@given(circuits(max_gates=25), st.sampled_from([8, 64]))
def test_whole_states(circuit, window_rows):
    assert_orders_steps(compile_plan(circuit), circuit.n_weights, circuit.n_qubits, window_rows)


@settings(max_examples=30, deadline=None)
@given(circuits(min_qubits=5, max_qubits=8, max_gates=40), st.sampled_from([3, 4]))
def test_cosets(circuit, width):
    assert_orders_steps(compile_plan(circuit), circuit.n_weights, width, 8)


def test_long_blocks_are_cut():
    # Steps on two qubits, one after the other, never leave one span.
    gates = [gate("RX" if i % 2 else "RZ", 0, Weight(i)) for i in range(3)]
    gates += [gate("CRX", (i % 2, 1 - i % 2), Weight(3 + i)) for i in range(600)]
    plan = compile_plan(Circuit.of(5, gates))
    part = schedule(plan, 603, 4, 3, 32)
    lengths = [b - a for a, b in pairwise(part.row_first)]
    assert sum(lengths) == len(plan.steps) > 600
    assert max(lengths) == 256


@pytest.mark.parametrize("most_rows", [1, 60, 10**9])
def test_memory_windows_cover_all_blocks_in_order(most_rows):
    gates = [gate("RX", i % 8, Weight(i)) for i in range(64)]
    gates = [each for i, one in enumerate(gates) for each in (one, gate("CNOT", (i % 8, (i + 3) % 8)))]
    plan = compile_plan(Circuit.of(8, gates))
    part = schedule(plan, 64, 4, 3, 32)
    for start in (0, part.n_product):
        windows = memory_windows(part, start, most_rows)
        assert [first for first, _ in windows] == [start, *(last for _, last in windows[:-1])]
        assert windows[-1][1] == len(part.row_first) - 1
        for first, last in windows:
            assert last == first + 1 or part.row_first[last] - part.row_first[first] <= most_rows
