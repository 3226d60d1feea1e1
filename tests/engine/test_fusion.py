from __future__ import annotations

import itertools

import numpy as np
import pytest
from dense import of_step
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits

from hybridqies.circuit import Circuit, Weight, gate
from hybridqies.circuit.gate_type import X, Y, Z
from hybridqies.engine.fusion import (
    Span,
    blocks,
    commute,
    fuse,
    is_identity,
    joined,
    odd,
    prune,
    split_product,
)
from hybridqies.engine.lowering import Fixed, Step, Turn, lower

H = Fixed(np.array([[1, 1], [1, -1]]) / np.sqrt(2))
S = Fixed(np.diag([1, 1j]))


def turn(flip: int, mask: int, axis: int, control: tuple[int, int] | None = None, index: int = 0) -> Step:
    return Step(flip, mask, control, (Turn(axis, Weight(index)),))


def steps_of(circuit: Circuit) -> list[Step]:
    return lower(circuit)[0]


def product_of(steps, n_qubits: int) -> np.ndarray:
    result = np.eye(2**n_qubits, dtype=complex)
    for step in steps:
        result = of_step(step, n_qubits) @ result
    return result


def sums_of(vectors) -> set[int]:
    """Every sum of some of the vectors over GF(2)."""
    result = {0}
    for vector in vectors:
        result |= {each ^ vector for each in result}
    return result


# Bits

VECTORS = st.lists(st.integers(0, 127), max_size=9)


@given(VECTORS)
def test_a_span_is_the_sums_of_its_vectors(vectors):
    span, inside = Span(vectors), sums_of(vectors)
    assert sums_of(span.basis) == inside
    assert 2 ** len(span) == len(inside)
    assert {vector for vector in range(128) if not span.reduced(vector)} == inside


@given(VECTORS, st.integers(0, 127))
def test_what_is_left_outside_a_span_is_the_same_for_a_whole_coset(vectors, vector):
    span = Span(vectors)
    left = span.reduced(vector)
    assert left ^ vector in sums_of(vectors)
    assert {span.reduced(vector ^ each) for each in sums_of(vectors)} == {left}


@given(VECTORS)
def test_each_basis_vector_has_its_top_bit_to_itself(vectors):
    basis = Span(vectors).basis
    assert basis == sorted(basis, reverse=True)
    for a, b in itertools.permutations(basis, 2):
        assert not b & 1 << (a.bit_length() - 1)


@given(VECTORS, st.integers(0, 511))
def test_coordinates_name_the_basis_vectors_of_a_sum_lowest_first(vectors, chosen):
    span = Span(vectors)
    chosen &= 2 ** len(span) - 1
    vector = 0
    for j, each in enumerate(reversed(span.basis)):
        vector ^= each * (chosen >> j & 1)
    assert span.coordinates(vector) == chosen


@given(st.integers(0, 2**40))
def test_odd_is_the_parity_of_set_bits(bits):
    assert odd(bits) == bin(bits).count("1") % 2


# Two steps


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (turn(1, 1, X), turn(2, 2, X), True),
        (turn(1, 1, X), turn(1, 1, Z), False),
        (turn(1, 1, X, control=(2, 1)), turn(2, 2, X), False),
        (turn(1, 1, X, control=(2, 1)), turn(4, 4, Y, control=(2, 1)), True),
        (turn(1, 1, X, control=(2, 1)), turn(4, 4, Y, control=(1, 1)), False),
        (turn(0b11, 0b01, Y), turn(0b10, 0b11, Y), True),
        (turn(0b11, 0b01, Y), turn(0b10, 0b110, Y), False),
        (turn(0b11, 0b01, Y), turn(0b100, 0b111, Y), True),
    ],
)
def test_steps_commute_where_neither_sees_the_other_flip(a, b, expected):
    assert commute(a, b) == commute(b, a) == expected


@settings(max_examples=60, deadline=None)
@given(circuits(4, min_qubits=2, max_gates=8))
def test_steps_that_are_said_to_commute_do(circuit):
    n = circuit.n_qubits
    for a, b in itertools.combinations(steps_of(circuit), 2):
        if commute(a, b):
            left, right = of_step(a, n), of_step(b, n)
            np.testing.assert_allclose(left @ right, right @ left, rtol=0, atol=1e-13)


# Fusion


def test_neighbours_on_one_qubit_become_one_step():
    circuit = Circuit.of(1, [gate("RY", 0, Weight(0)), gate("ROT", 0, Weight(1), Weight(2), Weight(3))])
    (step,) = fuse(steps_of(circuit))
    assert [factor.axis for factor in step.factors] == [Y, Z, Y, Z]
    assert [factor.angle.index for factor in step.factors] == [0, 1, 2, 3]


def test_fusion_goes_across_steps_that_commute_and_no_others():
    across = [turn(1, 1, X), turn(2, 2, Y), turn(1, 1, Z)]
    assert [len(step.factors) for step in fuse(across)] == [2, 1]
    barred = [turn(1, 1, X), turn(2, 2, Y, control=(1, 1)), turn(1, 1, Z)]
    assert fuse(barred) == barred
    # Once barred, a step fuses with those after the bar.
    assert [len(step.factors) for step in fuse([*barred, turn(1, 1, Y)])] == [1, 1, 2]


def test_a_control_fuses_with_the_same_control_alone():
    same = [turn(1, 1, X, control=(2, 1)), turn(1, 1, Z, control=(2, 1))]
    assert len(fuse(same)) == 1
    for control in (None, (2, 0), (4, 1)):
        assert len(fuse([same[0], turn(1, 1, Z, control=control)])) == 2


def test_fixed_neighbours_are_multiplied_in_their_order():
    (matrix,) = joined([H, S, H])
    np.testing.assert_allclose(matrix.matrix, H.matrix @ S.matrix @ H.matrix, rtol=0, atol=1e-15)
    angle = Turn(X, Weight(0))
    assert [type(each) for each in joined([H, S, angle, S, H])] == [Fixed, Turn, Fixed]


def test_only_a_step_of_exact_identities_is_nothing():
    one = Fixed(np.eye(2, dtype=complex))
    assert is_identity(Step(1, 1, None, (one,)))
    assert not is_identity(Step(1, 1, None, (S,)))
    assert not is_identity(Step(1, 1, None, (one, Turn(X, Weight(0)))))
    circuit = Circuit.of(1, [gate("S", 0), gate("SDG", 0)])
    assert all(is_identity(step) for step in fuse(steps_of(circuit)))


@settings(max_examples=60, deadline=None)
@given(circuits(4, max_gates=12))
def test_fused_steps_are_the_same_matrix(circuit):
    steps = steps_of(circuit)
    fused = fuse(steps)
    assert len(fused) <= len(steps)
    expected = product_of(steps, circuit.n_qubits)
    np.testing.assert_allclose(product_of(fused, circuit.n_qubits), expected, rtol=0, atol=1e-12)


# Light cones


def test_steps_outside_the_light_cone_of_what_is_read_go():
    inside = [turn(1, 1, X), turn(2, 2, Y), turn(2, 2, X, control=(1, 1))]
    outside = [turn(4, 4, X), turn(4, 4, Y, control=(1, 1))]
    assert prune([*inside, *outside], [(0, 2)]) == inside
    assert prune([*inside, *outside], [(0, 4)]) == [inside[0], *outside]
    assert prune([*inside, *outside], [(0, 2), (0, 4)]) == [*inside, *outside]
    assert prune([*inside, *outside], [(0, 8)]) == []


def test_diagonal_steps_right_before_a_z_measurement_go():
    diagonal = [turn(1, 1, Z), turn(2, 2, Z, control=(1, 1)), Step(1, 1, None, (S,))]
    assert prune(diagonal, [(0, 1), (0, 3)]) == []
    assert prune(diagonal, [(1, 0)]) == diagonal
    assert prune([*diagonal, turn(1, 1, X)], [(0, 1)]) == [*diagonal, turn(1, 1, X)]


def test_a_flip_is_felt_by_what_sees_it():
    # X on qubits 0 and 1 at once turns neither Z0 Z1 nor X, but each of Z0 and Z1.
    both = turn(3, 1, X)
    assert prune([both], [(0, 2)]) == [both]
    assert prune([turn(3, 4, X)], [(0, 3)]) == []
    assert prune([both], [(0, 0)]) == []


@settings(max_examples=60, deadline=None)
@given(circuits(4, max_gates=12, n_features=0), st.integers(0, 15), st.integers(0, 15))
def test_pruned_steps_leave_an_observable_what_it_becomes(circuit, flip, mask):
    n = circuit.n_qubits
    flip, mask = flip & (2**n - 1), mask & (2**n - 1)
    observable = np.zeros((2**n, 2**n))
    for p in range(2**n):
        observable[p ^ flip, p] = 1 - 2 * odd(mask & p)
    steps = steps_of(circuit)
    whole, kept = product_of(steps, n), product_of(prune(steps, [(flip, mask)]), n)
    np.testing.assert_allclose(
        kept.conj().T @ observable @ kept, whole.conj().T @ observable @ whole, rtol=0, atol=1e-12
    )


# The product start


def test_the_first_step_of_each_bit_starts_a_product_state():
    first = [turn(1, 1, X), turn(2, 2, Y), turn(4, 4, Y)]
    later = [turn(1, 1, Z), turn(2, 2, Y, control=(4, 1))]
    product, others = split_product([*first, *later], 3)
    assert product == {0: first[0], 1: first[1], 2: first[2]}
    assert others == later


def test_a_step_that_has_to_wait_starts_no_product_state():
    controlled = turn(1, 1, X, control=(2, 1))
    after = [turn(1, 1, Y), turn(2, 2, Y), turn(4, 4, Y)]
    product, others = split_product([controlled, *after], 3)
    assert product == {2: after[2]}
    assert others == [controlled, *after[:2]]
    relabelled = turn(3, 1, X)
    assert split_product([relabelled], 2) == ({}, [relabelled])


@settings(max_examples=60, deadline=None)
@given(circuits(4, max_gates=12))
def test_a_product_start_and_the_other_steps_are_the_same_matrix(circuit):
    steps = steps_of(circuit)
    product, others = split_product(steps, circuit.n_qubits)
    assert len(product) + len(others) == len(steps)
    for bit, step in product.items():
        assert (step.flip, step.mask, step.control) == (1 << bit, 1 << bit, None)
    ours = product_of([*product.values(), *others], circuit.n_qubits)
    np.testing.assert_allclose(ours, product_of(steps, circuit.n_qubits), rtol=0, atol=1e-12)


# Blocks


@settings(max_examples=60, deadline=None)
@given(circuits(4, max_gates=16), st.integers(1, 4))
def test_blocks_hold_every_step_once_and_make_the_same_matrix(circuit, width):
    n = circuit.n_qubits
    steps = steps_of(circuit)
    cut = blocks(steps, n, width)
    for block in cut:
        assert len(block.span) == min(width, n)
        assert not any(block.span.reduced(step.flip) for step in block.steps)
    placed = [step for block in cut for step in block.steps]
    assert sorted(map(id, placed)) == sorted(map(id, steps))
    np.testing.assert_allclose(product_of(placed, n), product_of(steps, n), rtol=0, atol=1e-12)


def test_a_block_takes_later_steps_that_commute_and_fills_up_with_low_bits():
    steps = [turn(8, 8, X), turn(4, 4, X), turn(8, 8, Y), turn(4, 4, Y, control=(8, 1))]
    first, second = blocks(steps, 4, 1)
    assert first.steps == (steps[0], steps[2])
    assert second.steps == (steps[1], steps[3])
    (alone,) = blocks(steps[:1], 4, 3)
    assert alone.span.basis == [8, 2, 1]


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_control_does_not_widen_a_block(width):
    steps = [turn(1, 1, X, control=(1 << bit, 1)) for bit in (1, 2, 3)]
    (block,) = blocks(steps, 4, width)
    assert block.steps == tuple(steps)
