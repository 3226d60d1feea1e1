"""Light cones against the whole state on random circuits, and cones whose size is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from references import inputs_of
from strategies import case_of, cases, circuits, every_gate

from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import Rules, compile_plan, expectations, find_cones
from hybridqies.engine.plan import assemble_plan

DOUBLE = torch.float64


def by_cones(circuit, features, weights):
    """⟨P⟩ of a circuit, each cone run by itself on its own features and weights."""
    values = [torch.zeros(len(features), dtype=DOUBLE)] * len(circuit.observables)
    for cone in find_cones(circuit):
        plan = assemble_plan(cone.part, batched_weights=False, rules=Rules())
        read = expectations(plan, features[:, list(cone.features)], weights[list(cone.weights)])
        for column, member in zip(read.unbind(dim=1), cone.members, strict=True):
            values[member] = column
    return torch.stack(values, dim=1)


def check(case):
    features, weights, _ = inputs_of(case)
    results = []
    for run in (by_cones, lambda circuit, *inputs: expectations(compile_plan(circuit), *inputs)):
        inputs = [each.clone().requires_grad_() for each in (features, weights)]
        values = run(case.circuit, *inputs)
        cotangents = torch.linspace(-1, 1.5, values.numel(), dtype=DOUBLE).reshape(values.shape)
        results.append([values.detach(), *torch.autograd.grad((values * cotangents).sum(), inputs)])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(cases(circuits(6, max_gates=20, starts=(Start.ZERO,))))
def test_cones_give_what_the_whole_state_gives(case):
    check(case)


@settings(max_examples=12, deadline=None)
@given(cases(circuits(14, min_qubits=10, max_gates=60, starts=(Start.ZERO,))))
def test_cones_of_larger_circuits(case):
    check(case)


@pytest.mark.slow
def test_cones_of_many_circuits():
    @settings(max_examples=600, deadline=None)
    @given(cases(circuits(14, max_gates=60, starts=(Start.ZERO,))))
    def run(case):
        check(case)

    run()


def test_cones_of_every_gate():
    check(case_of(every_gate(5), seed=3, batch=9))


def sizes(circuit):
    return [cone.n_qubits for cone in find_cones(circuit)]


@pytest.mark.parametrize(("layers", "most"), [(2, 5), (4, 9)])
def test_layers_of_cz_reach_one_neighbour_each(layers, most):
    cones = find_cones(load_circuit("data-reuploading", 128, layers=layers))
    assert sum(len(cone.members) for cone in cones) == 128
    assert max(cone.n_qubits for cone in cones) == most
    # Away from the ends of the chain all cones have one shape.
    assert len({cone.shape() for cone in cones}) == 2 * layers + 1
    middle = next(cone for cone in cones if cone.members == (64,))
    columns = {place % 128 for place in middle.features}
    assert columns == set(range(64 - layers, 64 + layers + 1))


@pytest.mark.parametrize(
    ("n", "cone", "most"), [(128, 16, 16), (128, 28, 16), (64, 4, 4), (100, 8, 8), (8, 16, 8)]
)
def test_long_range_sparse_caps_its_cones(n, cone, most):
    assert max(sizes(load_circuit("long-range-sparse", n, cone=cone))) == most


def test_diagonal_gates_drop_out_of_a_support_of_zs():
    ups = [gate("RY", q, feature(q)) for q in range(6)]
    diagonal = [gate(name, (q, q + 1), *[Weight(q)] * n) for name, n in (("CZ", 0), ("RZZ", 1), ("CRZ", 1))
                for q in range(5)]  # fmt: skip
    phases = [
        gate(name, q, *[0.3] * n) for name, n in (("S", 0), ("T", 0), ("P", 1), ("RZ", 1)) for q in range(6)
    ]
    whole = Circuit.of(6, [*ups, *diagonal, *phases])
    assert sizes(whole) == [1] * 6
    pairs = replace(whole, observables=(PauliString.parse("ZIIZII"), PauliString.parse("XIIIII")))
    assert sizes(pairs) == [2, 2]


def test_cnots_are_labels():
    # A ring of CNOTs before a measured qubit makes its Z a product of Zs, which RY on each of them moves.
    ups = [gate("RY", q, feature(q)) for q in range(6)]
    chain = [gate("CNOT", (q, q + 1)) for q in range(5)]
    circuit = Circuit.of(6, [*ups, *chain])
    assert sizes(circuit) == [6]
    assert [len(cone.members) for cone in find_cones(circuit)] == [6]
    # Copies of one turned qubit are one qubit's worth of amplitudes.
    copies = Circuit.of(40, [gate("RY", 0, feature(0)), *(gate("CNOT", (0, q)) for q in range(1, 40))])
    assert sizes(copies) == [1]
    swapped = Circuit.of(40, [gate("RY", 0, feature(0)), gate("SWAP", (0, 39)), gate("RX", 39, Weight(0))])
    assert [cone.n_qubits for cone in find_cones(swapped) if 39 in cone.members] == [1]


def test_nested_cones_are_one():
    gates = [gate("RY", q, feature(q)) for q in range(3)]
    gates += [gate("CRX", (0, 1), Weight(0)), gate("CRX", (1, 2), Weight(1))]
    cones = find_cones(Circuit.of(3, gates))
    assert [(cone.members, cone.n_qubits) for cone in cones] == [((2, 1, 0), 3)]


def test_observables_that_nothing_moves():
    circuit = Circuit.of(50, [gate("X", 3), gate("RZ", 4, feature(0))], None)
    read = by_cones(circuit, torch.zeros(2, 1, dtype=DOUBLE), torch.zeros(0, dtype=DOUBLE))
    expected = torch.ones(2, 50, dtype=DOUBLE)
    expected[:, 3] = -1
    torch.testing.assert_close(read, expected)
    other = replace(circuit, observables=(PauliString.on("X", 0), PauliString(())))
    read = by_cones(other, torch.zeros(2, 1, dtype=DOUBLE), torch.zeros(0, dtype=DOUBLE))
    torch.testing.assert_close(read, torch.tensor([[0.0, 1.0]] * 2, dtype=DOUBLE))


def test_circuits_that_start_from_amplitudes_have_none():
    with pytest.raises(ValueError, match="amplitudes"):
        find_cones(replace(every_gate(3), start=Start.AMPLITUDES))
