"""A lost fusion changes a count: what plans cost, without a clock."""

from __future__ import annotations

import math

import pytest
import torch

from hybridqies.circuit import Circuit, Start, Weight, gate, load_circuit
from hybridqies.engine import Rules, compile_plan, count_costs

LAYERS = 3


@pytest.mark.parametrize("n", [4, 8, 12, 14])
def test_rot_ring_is_one_step_a_qubit_and_layer(n):
    plan = compile_plan(load_circuit("rot-ring", n))
    counts = count_costs(plan, batch=1)
    assert counts.steps == LAYERS * n
    # The first layer is the product start; the others are two steps a pass, there and back.
    passes = 2 * (LAYERS - 1) * n // 2
    assert counts.passes == passes + 5
    pairs = (LAYERS - 1) * n * 2 ** (n - 1)
    started = (2**n - 1) * (12 + 30) + (12 * (2**n - 1)) // 2
    read = 2**n * (3 + 6 + 4 * n)
    assert counts.flops == pairs * (3 * 28 + 24) + started + read
    assert counts.bytes == 2 * 2**n * 8


@pytest.mark.parametrize(("n", "blocks"), [(16, 2), (18, 3), (20, 3)])
def test_large_states_go_through_memory_a_few_times(n, blocks):
    plan = compile_plan(load_circuit("rot-ring", n))
    assert len(plan.flat.layout.block_first) - 1 == blocks
    state = 2**n * 8
    assert count_costs(plan, batch=1).bytes == state * (8.5 + 6 * blocks + 3)


def test_without_the_rules_the_same_circuit_costs_several_times_as_much():
    circuit = load_circuit("rot-ring", 8)
    bare = count_costs(compile_plan(circuit, rules=Rules(False, False, False, False)), batch=1)
    usual = count_costs(compile_plan(circuit), batch=1)
    assert bare.steps == 2 * LAYERS * 8
    assert bare.flops > 2 * usual.flops
    assert bare.passes > 4 * usual.passes


def test_the_real_circuit_of_the_paper_costs_a_fraction_of_a_complex_one():
    circuit = load_circuit("long-range-reupload", 8)
    gates = (*circuit.gates[:-1], gate("RX", 0, Weight(0)))
    turned = Circuit.of(8, gates, circuit.observables)
    assert compile_plan(circuit).is_real
    assert not compile_plan(turned).is_real
    real, other = (count_costs(compile_plan(each), batch=1) for each in (circuit, turned))
    assert real.flops < other.flops / 4
    assert real.bytes == 2 * 2**8 * 4


def test_counts_grow_with_batch_and_precision():
    plan = compile_plan(load_circuit("rot-ring", 6))
    one, many = count_costs(plan, batch=1), count_costs(plan, batch=32, dtype=torch.float64)
    assert many.flops == 32 * one.flops
    assert many.bytes == 64 * one.bytes
    assert many.passes == one.passes


def test_a_controlled_step_touches_half_the_pairs():
    def flops(name, qubits):
        circuit = Circuit.of(5, [gate(name, qubits, Weight(0))], start=Start.AMPLITUDES)
        return count_costs(compile_plan(circuit), batch=1).flops - nothing

    nothing = count_costs(compile_plan(Circuit.of(5, [], start=Start.AMPLITUDES)), batch=1).flops
    assert flops("RY", 0) == 2 * flops("CRY", (3, 0)) == 2**4 * (3 * 6 + 4)


def test_compiling_a_deep_circuit_takes_time_in_proportion():
    circuit = load_circuit("rot-ring", 12, layers=100)
    assert count_costs(compile_plan(circuit), batch=1).steps == 100 * 12
    assert math.isclose(
        count_costs(compile_plan(circuit), batch=2).flops,
        2 * count_costs(compile_plan(circuit), batch=1).flops,
    )
