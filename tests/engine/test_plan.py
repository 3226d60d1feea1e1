from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits

from hybridqies.circuit import GATES, Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import Rules, compile_plan, expectations
from hybridqies.engine.lowering import PAULIS
from hybridqies.engine.plan import BLOCK_QUBITS, WHOLE_QUBITS, Op
from hybridqies.engine.tables import bloch, differs_by_sample

DOUBLE = torch.float64
CONTROLLED = [GATES[name] for name in ("CRX", "CRY", "CZ", "CY", "CNOT", "X", "SWAP", "RX")]
NONE = Rules(prune=False, fuse=False, product=False, pair=False)


def ops_of(plan) -> list[Op]:
    return [Op(*row) for row in plan.flat.layout.ops.tolist()]


def weight_gradient(circuit: Circuit, rules: Rules | None = None) -> list[float]:
    weights = torch.linspace(0.3, 1.7, circuit.n_weights, dtype=DOUBLE, requires_grad=True)
    features = torch.full((1, circuit.n_features), 0.4, dtype=DOUBLE)
    expectations(compile_plan(circuit, rules=rules), features, weights).sum().backward()
    return weights.grad.tolist()


# What a plan costs


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("n_qubits", [4, 7, 10])
def test_rot_ring_is_one_step_a_qubit_and_layer_and_starts_as_a_product(n_qubits, layers):
    circuit = load_circuit("rot-ring", n_qubits, layers=layers)
    plan = compile_plan(circuit)
    assert len(plan.steps) == layers * n_qubits
    assert sorted(plan.flat.layout.product.tolist()) == list(range(n_qubits))
    # RY and ROT of a qubit are one matrix of four rotations; RZ right before the reading is none.
    assert {len(step.factors) for step in plan.steps} <= {3, 4}
    # Two at a time; an odd one is left over.
    assert len(plan.flat.layout.ops) == -(-(layers - 1) * n_qubits // 2)
    bare = compile_plan(circuit, rules=NONE)
    assert len(bare.steps) == len(bare.flat.layout.ops) == 2 * layers * n_qubits
    assert set(bare.flat.layout.product.tolist()) == {-1}


def test_amplitudes_leave_no_product_to_start_from():
    circuit = Circuit.of(2, [gate("RX", 0, Weight(0)), gate("RX", 1, Weight(1))], start=Start.AMPLITUDES)
    plan = compile_plan(circuit)
    assert len(plan.flat.layout.product) == 0
    assert len(plan.steps) == 2


@pytest.mark.parametrize("word", ["ZII", "XII", "YII"])
def test_gates_outside_the_light_cone_of_one_qubit_vanish(word):
    gates = [
        *(gate("RY", q, Weight(q)) for q in range(3)),
        gate("CRX", (1, 0), Weight(3)),
        gate("CRX", (1, 2), Weight(4)),
        gate("ROT", 2, Weight(5), Weight(6), Weight(7)),
        gate("RX", 1, Weight(8)),
        gate("ROT", 0, Weight(9), Weight(10), Weight(11)),
    ]
    circuit = Circuit.of(3, gates, [PauliString.parse(word)])
    all_read = Circuit.of(3, gates, [PauliString.parse(each) for each in ("XII", "IXI", "IIX")])
    inside = {0, 1, 3, 9, 10, 11} - ({11} if word == "ZII" else set())
    plan = compile_plan(circuit, rules=Rules(fuse=False, product=False))
    assert {factor.angle.index for step in plan.steps for factor in step.factors} == inside | {11}
    assert len(plan.steps) == 4
    assert len(compile_plan(all_read, rules=Rules(fuse=False, product=False)).steps) == len(gates)
    gradients = weight_gradient(circuit)
    # The last angle turns about Z: its step stays, and what it does there is rounding.
    assert {index for index, gradient in enumerate(gradients) if abs(gradient) > 1e-12} == inside
    assert {index for index, gradient in enumerate(gradients) if gradient} <= inside | {11}
    np.testing.assert_allclose(gradients, weight_gradient(circuit, NONE), rtol=0, atol=1e-13)


def test_diagonal_gates_right_before_z_measurements_vanish():
    gates = [gate("RX", q, Weight(q)) for q in range(3)]
    diagonal = [
        gate("RZ", 0, Weight(3)),
        gate("CZ", (0, 1)),
        gate("T", 2),
        gate("RZZ", (1, 2), Weight(4)),
        gate("CRZ", (2, 0), Weight(5)),
        gate("P", 1, feature(0)),
    ]
    strings = [PauliString.parse(word) for word in ("ZII", "IZZ")]
    plan = compile_plan(Circuit.of(3, [*gates, *diagonal], strings))
    assert len(plan.steps) == 3
    gradients = weight_gradient(Circuit.of(3, [*gates, *diagonal], strings))
    assert gradients[3:] == [0.0, 0.0, 0.0]
    assert all(gradients[:3])
    # CNOT only relabels: still diagonal for what the labels are now.
    relabelled = Circuit.of(3, [*gates, *diagonal, gate("CNOT", (0, 2)), gate("X", 1)], strings)
    assert len(compile_plan(relabelled).steps) == 3
    turned = Circuit.of(3, [*gates, *diagonal, gate("RY", 1, Weight(6))], strings)
    assert len(compile_plan(turned, rules=Rules(fuse=False)).steps) > 4


def test_what_nothing_reads_costs_nothing():
    circuit = Circuit.of(2, [gate("RX", 0, Weight(0)), gate("H", 1)], [PauliString(())])
    assert compile_plan(circuit).steps == ()
    assert weight_gradient(circuit) == [0.0]


@pytest.mark.parametrize("name", ["H", "S", "SX", "CZ", "CY"])
def test_a_gate_and_its_inverse_are_no_step(name):
    inverse = {"S": "SDG", "SX": "SXDG"}.get(name, name)
    where = (0, 1) if name.startswith("C") else 0
    circuit = Circuit.of(2, [gate(name, where), gate(inverse, where)], [PauliString.parse("XY")])
    steps = compile_plan(circuit).steps
    for step in steps:
        (factor,) = step.factors
        # H twice is 1 but for rounding, and stays.
        np.testing.assert_allclose(factor.matrix, np.eye(2), rtol=0, atol=1e-15)
    assert name == "H" or not steps


# Where steps act


def test_two_steps_without_controls_are_one_pass():
    gates = [gate("RX", q, Weight(q)) for q in range(4)]
    strings = [PauliString.on("Z", q) for q in range(4)]
    for n_gates, n_ops in [(1, 1), (2, 1), (3, 2), (4, 2)]:
        plan = compile_plan(Circuit.of(4, gates[:n_gates], strings, start=Start.AMPLITUDES))
        assert len(ops_of(plan)) == n_ops
    controlled = [gates[0], gate("CRX", (1, 2), Weight(1)), gates[3]]
    plan = compile_plan(Circuit.of(4, controlled, strings, start=Start.AMPLITUDES))
    assert [op.second for op in ops_of(plan)] == [-1, -1, -1]


@settings(max_examples=80, deadline=None)
@given(circuits(5, max_gates=16) | circuits(5, min_qubits=3, kinds=CONTROLLED), st.integers(1, 5))
def test_each_op_meets_each_pair_of_amplitudes_that_it_should_once(circuit, width):
    plan = compile_plan(circuit, rules=Rules(prune=False, block_qubits=width))
    layout, n_qubits = plan.flat.layout, circuit.n_qubits
    width = layout.basis.shape[1]
    for block in range(len(layout.block_first) - 1):
        basis, pivots = layout.basis[block].tolist(), layout.pivots[block].tolist()
        starts = [p for p in range(2**n_qubits) if not any(p >> pivot & 1 for pivot in pivots)]
        assert len(starts) == 2 ** (n_qubits - width)
        for op in ops_of(plan)[layout.block_first[block] : layout.block_first[block + 1]]:
            groups = [group for base in starts for group in met_groups(op, base, basis, width)]
            assert sorted(both_pairs(groups, 0, 1, op.crossed == 1)) == expected_pairs(plan, op.first)
            if op.second >= 0:
                assert sorted(both_pairs(groups, 0, 2, op.crossed == 2)) == expected_pairs(plan, op.second)


def met_groups(op: Op, base: int, basis: list[int], width: int):
    """The two or four amplitudes at a time that the kernels meet in one coset."""
    if op.guard and odd(op.guard & base) != op.guard_value:
        return
    for k in range(2 ** (width - op.conditions)):
        row = inserted(k, op.pivot0)
        if op.conditions == 2:
            row = inserted(row, op.pivot1)
        start = row
        if odd(op.mask0 & start) ^ odd(op.outer0 & base) ^ op.target0:
            row ^= op.shift0
        if op.conditions == 2 and odd(op.mask1 & start) ^ odd(op.outer1 & base) ^ op.target1:
            row ^= op.shift1
        rows = [row, row ^ op.flip0]
        if op.second >= 0:
            rows += [each ^ op.flip1 for each in rows]
        yield [placed(each, base, basis) for each in rows]


def both_pairs(groups, first: int, second: int, is_crossed: bool):
    """The pair of places (first, second) of each group, and the other pair where a group has four."""
    for group in groups:
        yield group[first], group[second]
        if len(group) == 4:
            a, b = group[3 - second], group[3]
            yield (b, a) if is_crossed else (a, b)


def expected_pairs(plan, at: int) -> list[tuple[int, int]]:
    step = plan.steps[at]
    mask, value = step.control or (0, 0)
    rows = [p for p in range(2**plan.n_qubits) if not odd(step.mask & p) and odd(mask & p) == value]
    return [(p, p ^ step.flip) for p in rows]


def placed(row: int, base: int, basis: list[int]) -> int:
    for j, each in enumerate(basis):
        base ^= each * (row >> j & 1)
    return base


def inserted(k: int, pivot: int) -> int:
    return (k >> pivot) << (pivot + 1) | k & ((1 << pivot) - 1)


def odd(bits: int) -> int:
    return bits.bit_count() % 2


def test_a_control_outside_a_block_guards_whole_cosets():
    circuit = Circuit.of(
        3, [gate("CRX", (0, 2), Weight(0))], [PauliString.parse("IIZ")], start=Start.AMPLITUDES
    )
    (guarded,) = ops_of(compile_plan(circuit, rules=Rules(block_qubits=1)))
    assert (guarded.guard, guarded.guard_value, guarded.conditions) == (0b100, 1, 1)
    (inside,) = ops_of(compile_plan(circuit))
    assert (inside.guard, inside.conditions, inside.mask1, inside.target1) == (0, 2, 0b100, 1)


def test_large_states_are_cut_into_blocks():
    small, large = (compile_plan(load_circuit("rot-ring", n)) for n in (WHOLE_QUBITS, WHOLE_QUBITS + 1))
    assert small.flat.layout.basis.shape == (1, WHOLE_QUBITS)
    assert large.flat.layout.basis.shape[1] == BLOCK_QUBITS
    assert len(large.flat.layout.block_first) > 2


# Tables


@pytest.mark.parametrize("batched_weights", [False, True])
def test_angles_stand_once_and_shared_ones_first(batched_weights):
    gates = [
        gate("RX", 0, feature(0)),
        gate("RX", 1, Weight(0)),
        gate("RY", 0, Weight(0)),
        gate("RY", 1, feature(0)),
        gate("RZ", 0, Weight(0, 2.0)),
        gate("RX", 1, feature(0, 1, scale=-1)),
        gate("H", 0),
    ]
    plan = compile_plan(
        Circuit.of(2, gates, [PauliString.parse("XX")]), batched_weights=batched_weights, rules=NONE
    )
    numbers = plan.flat.tables
    sources = np.split(numbers.angle_source, numbers.angle_first[1:-1])
    found = {(scale, *each) for scale, each in zip(numbers.angle_scale, sources, strict=True)}
    assert len(numbers.angle_scale) == 4
    # Two features, so weight 0 is source 2.
    assert found == {(1, 0), (1, 2), (2, 2), (-1, 0, 1)}
    assert numbers.n_shared_angles == (0 if batched_weights else 2)
    shared = [each.tolist() for each in sources[: numbers.n_shared_angles]]
    assert shared == ([] if batched_weights else [[2], [2]])
    differs = [differs_by_sample(step, batched_weights=batched_weights) for step in plan.steps]
    assert [slot >= 0 for slot in numbers.step_slot] == differs
    assert differs.count(False) == numbers.n_shared_steps == (1 if batched_weights else 4)
    for kind in (True, False):
        slots = [slot if slot >= 0 else ~slot for slot in numbers.step_slot if (slot >= 0) == kind]
        assert slots == list(range(len(slots)))


def test_a_bloch_matrix_says_what_paulis_become():
    random = np.random.default_rng(0)
    for _ in range(5):
        matrix, _ = np.linalg.qr(random.normal(size=(2, 2)) + 1j * random.normal(size=(2, 2)))
        turns = bloch(matrix)
        for j, pauli in enumerate(PAULIS):
            expected = sum(turns[i, j] * PAULIS[i] for i in range(3))
            np.testing.assert_allclose(matrix @ pauli @ matrix.conj().T, expected, rtol=0, atol=1e-14)
        np.testing.assert_allclose(turns.T @ turns, np.eye(3), rtol=0, atol=1e-14)


def test_an_inverted_label_turns_the_sign_of_z_and_y():
    strings = [PauliString.parse(word) for word in ("ZI", "XI", "YI", "IZ", "ZZ", "YY")]
    plan = compile_plan(Circuit.of(2, [gate("X", 0)], strings))
    assert plan.flat.layout.observables[:, 3].tolist() == [-1, 1, -1, 1, -1, -1]
    plan = compile_plan(Circuit.of(2, [gate("X", 0), gate("CNOT", (0, 1))], strings))
    assert plan.flat.layout.observables[:, 3].tolist() == [-1, 1, -1, -1, 1, 1]


def test_the_identity_is_read_for_any_labels():
    for gates in itertools.combinations([gate("X", 0), gate("CNOT", (0, 1)), gate("SWAP", (0, 1))], 2):
        plan = compile_plan(Circuit.of(2, gates, [PauliString(())]))
        assert plan.flat.layout.observables.tolist() == [[0, 0, 0, 1]]
