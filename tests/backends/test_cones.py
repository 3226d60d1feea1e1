"""Circuits that the native simulator runs by light cones: values, gradients, the choice and the refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import case_of, cases, circuits

from hybridqies.backends import load_backend, statevector
from hybridqies.backends import memory as memory_module
from hybridqies.backends.aer import bound_bond
from hybridqies.backends.plan_cache import PlanCache
from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import (
    ConePlan,
    Plan,
    compile_cones,
    compile_plan,
    cone_plan,
    count_work,
    expectations,
    find_cones,
    pick_plan,
)
from hybridqies.errors import CapabilityError

DOUBLE = torch.float64


def gradients(run, *inputs):
    """Values, and gradients of a weighted sum of them."""
    leaves = [each.clone().requires_grad_() for each in inputs]
    values = run(*leaves)
    cotangents = torch.linspace(-1, 1.5, values.numel(), dtype=values.dtype).reshape(values.shape)
    return [values.detach(), *torch.autograd.grad((values * cotangents).sum(), leaves)]


def check_equal(ours, expected, atol=1e-12):
    for mine, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=atol)


def by_cones(circuit, *, batched_weights=False):
    return compile_cones(find_cones(circuit), batched_weights=batched_weights).expectations


def as_whole(circuit, *, batched_weights=False):
    plan = compile_plan(circuit, batched_weights=batched_weights)
    return lambda features, weights: expectations(plan, features, weights)


@settings(max_examples=40, deadline=None)
@given(cases(circuits(7, max_gates=20, starts=(Start.ZERO,)), batch=3))
def test_plans_of_cones_give_what_the_whole_state_gives(case):
    features, weights = (torch.from_numpy(each) for each in (case.features, case.weights))
    check_equal(
        gradients(by_cones(case.circuit), features, weights),
        gradients(as_whole(case.circuit), features, weights),
    )
    rows = weights * torch.linspace(0.5, 2, 3, dtype=DOUBLE)[:, None]
    check_equal(
        gradients(by_cones(case.circuit, batched_weights=True), features, rows),
        gradients(as_whole(case.circuit, batched_weights=True), features, rows),
    )


def reuploading(n_qubits, layers=2, batch=3, dtype=DOUBLE):
    """A circuit with small cones of a few shapes, and inputs for it."""
    circuit = load_circuit("data-reuploading", n_qubits, layers=layers)
    case = case_of(circuit, seed=5, batch=batch)
    return circuit, *(torch.from_numpy(each).to(dtype) for each in (case.features, case.weights))


@pytest.mark.parametrize("batched_weights", [False, True], ids=["shared", "a row a sample"])
def test_cones_of_one_shape_share_a_plan(batched_weights):
    circuit, features, weights = reuploading(12)
    if batched_weights:
        weights = weights * torch.linspace(0.5, 2, 3, dtype=DOUBLE)[:, None]
    plan = compile_cones(find_cones(circuit), batched_weights=batched_weights)
    assert [len(group) for group in plan.groups].count(1) == 4
    assert max(map(len, plan.groups)) == 8
    assert (plan.n_cones, plan.n_qubits) == (12, 5)
    whole = as_whole(circuit, batched_weights=batched_weights)
    check_equal(gradients(plan.expectations, features, weights), gradients(whole, features, weights))


def test_states_that_take_too_much_memory_are_run_again(monkeypatch):
    circuit, features, weights = reuploading(10)
    plan = compile_cones(find_cones(circuit))
    kept = plan.bytes_needed(features)
    expected = gradients(plan.expectations, features, weights)
    monkeypatch.setattr(cone_plan, "_MOST_KEPT", 0)
    monkeypatch.setattr(cone_plan, "_AT_ONCE", 0)
    assert plan.bytes_needed(features) < kept / 3
    check_equal(gradients(plan.expectations, features, weights), expected, atol=1e-14)
    inputs = [each.clone().requires_grad_() for each in (features, weights)]
    total = plan.expectations(*inputs).sum()
    first = torch.autograd.grad(total, inputs, retain_graph=True)
    check_equal(torch.autograd.grad(total, inputs), first, atol=0)


def picked(circuit, *, batched_weights=False):
    whole = compile_plan(circuit, batched_weights=batched_weights)
    return pick_plan(circuit, whole, batched_weights=batched_weights)


@pytest.mark.parametrize(
    ("name", "n", "options", "kind"),
    [
        ("data-reuploading", 4, {}, Plan),
        ("long-range-reupload", 12, {"readout_qubits": 12}, Plan),
        ("strongly-entangling", 12, {}, Plan),
        ("data-reuploading", 14, {"layers": 2}, ConePlan),
        ("product", 16, {}, ConePlan),
    ],
)
def test_the_plan_picks_by_counted_work(name, n, options, kind):
    assert isinstance(picked(load_circuit(name, n, **options)), kind)


def test_the_cost_says_what_light_cones_save():
    few, wide = (load_circuit("data-reuploading", n, layers=2) for n in (14, 40))
    cost, beyond = (StateVector().exact_cost(each) for each in (few, wide))
    assert cost is not None
    assert beyond is not None
    assert cost.whole is not None
    assert cost.whole == count_work(compile_plan(few))
    assert 2 * cost.operations <= cost.whole
    assert str(cost) == (
        f"14 light cones of up to 5 qubits, in place of {cost.whole:,} operations for the whole state"
    )
    assert beyond.whole is None
    assert str(beyond) == "40 light cones of up to 5 qubits, as the whole state has too many qubits"


def test_circuits_from_amplitudes_stay_whole():
    wide = load_circuit("data-reuploading", 14, layers=2)
    assert isinstance(picked(replace(wide, start=Start.AMPLITUDES)), Plan)


def test_a_search_that_takes_too_long_is_given_up(monkeypatch):
    circuit = load_circuit("data-reuploading", 14, layers=2)
    monkeypatch.setattr(cone_plan, "_CHECKS_FOR_A_CHOICE", 1000)
    assert isinstance(picked(circuit), Plan)
    with pytest.raises(CapabilityError, match="'data-reuploading' on 14 qubits take more than 1,000 checks"):
        find_cones(circuit, 1000)


def test_small_circuits_keep_their_bits():
    circuit, features, weights = reuploading(6, dtype=torch.float32)
    ours = gradients(lambda *given: StateVector().expectations(circuit, *given), features, weights)
    check_equal(ours, gradients(as_whole(circuit), features, weights), atol=0)


def test_a_layer_of_128_qubits_has_values_and_gradients():
    circuit, features, weights = reuploading(128)
    backend = StateVector()
    values, of_features, of_weights = gradients(
        lambda *given: backend.expectations(circuit, *given), features, weights
    )
    assert values.shape == (3, 128)
    # Qubits 40 to 48 alone give qubit 44: their other neighbours are too far away.
    span = range(40, 49)
    few = load_circuit("data-reuploading", 9, layers=2)
    columns = [place * 128 + q for place in range(9) for q in span]
    rows = [upload * 3 * 128 + 3 * q + angle for upload in range(3) for q in span for angle in range(3)]
    expected = as_whole(few)(features[:, columns], weights[rows])
    np.testing.assert_allclose(values[:, 44], expected[:, 4], rtol=0, atol=1e-12)
    step = 1e-6
    for inputs, gradient, at in ((features, of_features, (1, 300)), (weights, of_weights, (500,))):
        moved = []
        for sign in (1, -1):
            other = inputs.clone()
            other[at] += sign * step
            given = (other, weights) if inputs is features else (features, other)
            moved.append(backend.expectations(circuit, *given))
        cotangents = torch.linspace(-1, 1.5, values.numel(), dtype=DOUBLE).reshape(values.shape)
        slope = ((moved[0] - moved[1]) * cotangents).sum() / (2 * step)
        assert float(gradient[at]) == pytest.approx(float(slope), abs=1e-7)


def test_backends_without_light_cones_refuse_wide_circuits():
    circuit = load_circuit("product", 70)
    StateVector().check(circuit)
    for name in ("pennylane", "aer:statevector", "aer:matrix_product_state"):
        with pytest.raises(CapabilityError, match=f"70 qubits were asked of backend '{name}"):
            load_backend(name).check(circuit)


def test_the_widest_cone_is_named():
    wide = [gate("RY", q, feature(q)) for q in range(64)]
    strings = [PauliString.on("Z", 0), PauliString.on("Z", *range(29)), PauliString.on("Z", *range(30))]
    with pytest.raises(CapabilityError, match=r"observable Z0Z1.*Z29 of .* has 30 qubits"):
        StateVector().check(Circuit.of(64, wide, strings))
    StateVector().check(Circuit.of(64, wide, [PauliString.on("Z", *range(10, 38))]))


@pytest.mark.parametrize("options", [{"shots": 100}, {"p1": 0.01}, {"gradient": "shift"}])
def test_what_needs_the_whole_state_is_refused_on_many_qubits(options):
    backend = StateVector(**options)
    with pytest.raises(CapabilityError, match=r"70 qubits were asked of backend 'statevector,.* whole state"):
        backend.check(load_circuit("product", 70))


def test_states_and_amplitudes_of_many_qubits_are_refused():
    circuit, features, weights = reuploading(70)
    with pytest.raises(CapabilityError, match="70 qubits were asked"):
        StateVector().states(circuit, features, weights)
    with pytest.raises(CapabilityError, match="70 qubits were asked"):
        StateVector().check(replace(circuit, start=Start.AMPLITUDES))


def test_memory_is_checked_before_cones_run(monkeypatch):
    circuit, features, weights = reuploading(40)
    monkeypatch.setattr(statevector, "_ALWAYS_THERE", 0)
    monkeypatch.setattr(memory_module, "free_bytes", lambda device: 1000)
    with pytest.raises(CapabilityError, match="3 samples of 5 qubits need about"):
        StateVector().expectations(circuit, features, weights)


def test_cones_are_run_where_the_whole_state_does_not_fit(monkeypatch):
    # Two cones of 15 qubits each take more work than the 16 qubits of the whole, and half of its memory.
    ups = [gate("RY", q, feature(q)) for q in range(16)]
    twice = [gate("RY", q, Weight(q)) for q in range(16)]
    strings = [PauliString.on("Z", *range(15)), PauliString.on("Z", *range(1, 16))]
    entangled = [gate("RXX", (q, q + 1), 0.3) for q in range(1, 14)]
    circuit = Circuit.of(16, [*ups, *entangled, *twice], strings)
    case = case_of(circuit, seed=2, batch=8)
    features, weights = (torch.from_numpy(each) for each in (case.features, case.weights))
    assert isinstance(picked(circuit), Plan)
    expected = StateVector().expectations(circuit, features, weights)
    monkeypatch.setattr(cone_plan, "_MOST_KEPT", 0)
    monkeypatch.setattr(cone_plan, "_AT_ONCE", 0)
    monkeypatch.setattr(memory_module, "free_bytes", lambda device: 8 * 2 * 16 * 2**15)
    found = StateVector().expectations(circuit, features, weights)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_cache_counts_the_plans_of_cones():
    cache, circuit = PlanCache(), load_circuit("data-reuploading", 40, layers=2)
    before = cache.nbytes
    plan = cache(circuit).cone_plan(batched_weights=False)
    assert cache.nbytes - before == plan.nbytes > 10_000
    small = PlanCache(most_bytes=1)
    small(circuit).cone_plan(batched_weights=False)
    small(load_circuit("data-reuploading", 41, layers=2)).cone_plan(batched_weights=False)
    assert len(small) == 1


def test_chains_whose_bonds_stay_small_are_taken_by_matrix_product_states():
    backend = load_backend("aer:matrix_product_state")
    for name, options in (("product", {}), ("data-reuploading", {"layers": 2}), ("hardware-efficient", {})):
        backend.check(load_circuit(name, 40, **options))
    ladder = [gate("SWAP", (q, q + 20)) for q in range(6)]
    assert bound_bond(Circuit.of(40, ladder)) == 2**12
    assert bound_bond(Circuit.of(40, [*ladder, gate("CZ", (0, 39))])) == 2**13
    assert bound_bond(Circuit.of(40, [gate("CNOT", (0, 39))] * 50)) == 2**20
    assert bound_bond(Circuit.of(1, [gate("RX", 0, Weight(0))])) == 1
