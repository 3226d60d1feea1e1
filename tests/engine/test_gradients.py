from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from references import by_pennylane, doubled, inputs_of
from strategies import Case, case_of, cases, circuits, every_gate

from hybridqies.backends import load_backend
from hybridqies.circuit import (
    GATES,
    Circuit,
    Gate,
    PauliString,
    Start,
    Weight,
    feature,
    gate,
    list_circuits,
    load_circuit,
)
from hybridqies.engine import compile_plan, expectations

DOUBLE, SINGLE = torch.float64, torch.float32
READ = [PauliString.parse(word) for word in ("XYI", "IZX", "YIZ")]


def gradients(values, inputs):
    """Of a fixed random sum of the expectations, for each input that is there and is not empty."""
    random = torch.Generator().manual_seed(3)
    cotangents = torch.rand(values.shape, generator=random, dtype=DOUBLE).to(values.dtype) * 2 - 1
    given = [each for each in inputs if each is not None]
    if not values.requires_grad:
        return [torch.zeros_like(each) for each in given]
    return torch.autograd.grad((values * cotangents).sum(), given, materialize_grads=True)


def check(case: Case, dtype: torch.dtype) -> None:
    """1e-10, and in single precision 1e-5 of the largest entry: scales and products make entries of 100."""
    inputs = inputs_of(case, dtype, wants_gradient=True)
    reference = doubled(inputs)
    ours = gradients(load_backend("statevector").expectations(case.circuit, *inputs), inputs)
    theirs = gradients(by_pennylane(case.circuit, reference), reference)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype in (dtype, dtype.to_complex())
        largest = max([1.0, *other.abs().flatten().tolist()])
        tolerance = 1e-10 if dtype == DOUBLE else 1e-5 * largest
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@settings(max_examples=25, deadline=None)
@given(cases())
def test_random_circuits(dtype, case):
    check(case, dtype)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@settings(max_examples=15, deadline=None)
@given(cases(circuits(starts=(Start.AMPLITUDES,)), complex_amplitudes=True))
def test_random_circuits_with_complex_amplitudes(dtype, case):
    check(case, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("complex_amplitudes", [False, True])
def test_many_random_circuits(dtype, complex_amplitudes):
    @settings(max_examples=500, deadline=None)
    @given(cases(complex_amplitudes=complex_amplitudes))
    def run(case):
        check(case, dtype)

    run()


@pytest.mark.parametrize("source", [feature, Weight])
@pytest.mark.parametrize("name", [name for name, kind in GATES.items() if kind.angles])
def test_each_angle_of_each_gate(name, source):
    kind = GATES[name]
    for qubits in [(1, 2), (2, 0)]:
        angles = tuple(source(i) for i in range(len(kind.angles)))
        circuit = Circuit.of(3, [Gate(kind, qubits[: kind.n_qubits], angles)], READ, start=Start.AMPLITUDES)
        check(case_of(circuit, seed=len(name), complex_amplitudes=True), DOUBLE)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_one_circuit_with_every_gate(dtype):
    check(case_of(every_gate(), seed=5, batch=3), dtype)


@pytest.mark.parametrize("name", list_circuits())
def test_each_shipped_recipe(name):
    check(case_of(load_circuit(name, n_qubits=4), seed=2), DOUBLE)


def real_circuit() -> Circuit:
    """Amplitudes in, every kind of angle, and only gates whose matrices are real."""
    gates = [
        gate("RY", 0, feature(0)),
        gate("CRY", (0, 2), Weight(0)),
        gate("CNOT", (2, 1)),
        gate("RY", 1, Weight(0, -0.5)),
        gate("H", 2),
        gate("CRY", (1, 0), feature(1, 0, scale=0.7)),
    ]
    return Circuit.of(
        3, gates, [PauliString.parse(word) for word in ("ZII", "IXZ", "YYI")], start=Start.AMPLITUDES
    )


def complex_circuit() -> Circuit:
    """`real_circuit` and three-angle and two-qubit rotations."""
    more = (
        gate("ROT", 0, feature(0), Weight(1), 0.4),
        gate("RXX", (2, 0), Weight(1)),
        gate("U", 1, Weight(2), feature(1), Weight(0)),
        gate("RZZ", (0, 1), feature(0, 1)),
    )
    return Circuit.of(3, real_circuit().gates + more, READ, start=Start.AMPLITUDES)


@pytest.mark.parametrize("complex_amplitudes", [False, True])
@pytest.mark.parametrize("circuit", [real_circuit(), complex_circuit()], ids=["real", "complex"])
def test_gradcheck_of_the_engine(circuit, complex_amplitudes):
    inputs = inputs_of(case_of(circuit, 1, complex_amplitudes=complex_amplitudes), wants_gradient=True)
    plan = compile_plan(circuit)
    assert plan.is_real == circuit.is_real
    assert torch.autograd.gradcheck(lambda *given: expectations(plan, *given), inputs)


@pytest.mark.parametrize("circuit", [real_circuit(), complex_circuit()], ids=["real", "complex"])
def test_gradcheck_with_weights_of_each_sample(circuit):
    features, weights, amplitudes = inputs_of(case_of(circuit, 1), wants_gradient=True)
    rows = torch.stack([weights, 2 * weights]).detach().requires_grad_()
    plan = compile_plan(circuit, batched_weights=True)
    assert torch.autograd.gradcheck(lambda *given: expectations(plan, *given), (features, rows, amplitudes))


def test_gradcheck_of_every_gate_from_zero():
    features, weights, _ = inputs_of(case_of(every_gate(), 1), wants_gradient=True)
    plan = compile_plan(every_gate())
    assert torch.autograd.gradcheck(lambda *given: expectations(plan, *given), (features, weights))


@settings(max_examples=10, deadline=None)
@given(cases(batch=3))
def test_weights_of_each_sample_are_the_loop_over_samples(case):
    features, weights, amplitudes = inputs_of(case, wants_gradient=True)
    rows = torch.stack([weights, 2 * weights, weights.cos()]).detach().requires_grad_()
    backend = load_backend("statevector")

    def loop(features, rows, amplitudes):
        parts = [slice(b, b + 1) for b in range(3)]
        return torch.cat(
            [
                backend.expectations(
                    case.circuit, features[b], rows[b][0], None if amplitudes is None else amplitudes[b]
                )
                for b in parts
            ]
        )

    inputs = (features, rows, amplitudes)
    together = gradients(backend.expectations(case.circuit, *inputs), inputs)
    for mine, other in zip(together, gradients(loop(*inputs), inputs), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-12)


def test_a_shared_weight_has_the_sum_of_its_gates():
    def circuit(indices):
        gates = [
            gate("H", 0),
            gate("CRY", (0, 1), Weight(indices[0])),
            gate("RX", 1, Weight(indices[1], -2.0)),
        ]
        return Circuit.of(
            2, [*gates, gate("RZZ", (1, 0), Weight(indices[2], 0.5))], [PauliString.parse("ZY")]
        )

    features = torch.zeros(1, 0, dtype=DOUBLE)
    shared = torch.tensor([0.6], dtype=DOUBLE, requires_grad=True)
    own = torch.full((3,), 0.6, dtype=DOUBLE, requires_grad=True)
    expectations(compile_plan(circuit([0, 0, 0])), features, shared).sum().backward()
    expectations(compile_plan(circuit([0, 1, 2])), features, own).sum().backward()
    assert own.grad.abs().min() > 1e-2
    np.testing.assert_allclose(shared.grad, own.grad.sum(dim=0, keepdim=True), rtol=0, atol=1e-14)


def test_central_differences_at_one_point():
    circuit = load_circuit("strongly-entangling", 3)
    features, weights, _ = inputs_of(case_of(circuit, 4))
    plan = compile_plan(circuit)
    weights.requires_grad_()
    expectations(plan, features, weights).sum().backward()
    step = torch.eye(len(weights), dtype=DOUBLE) * 1e-5
    with torch.no_grad():
        differences = [
            (expectations(plan, features, weights + e) - expectations(plan, features, weights - e)).sum()
            for e in step
        ]
    np.testing.assert_allclose(weights.grad, torch.stack(differences) / 2e-5, rtol=0, atol=1e-9)


def test_a_weight_that_no_gate_takes_has_gradient_zero():
    circuit = Circuit(1, (gate("RX", 0, Weight(1)),), (PauliString.parse("Z"),), n_features=2, n_weights=3)
    features = torch.zeros(4, 2, dtype=DOUBLE, requires_grad=True)
    weights = torch.full((3,), 0.5, dtype=DOUBLE, requires_grad=True)
    load_backend("statevector").expectations(circuit, features, weights).sum().backward()
    np.testing.assert_allclose(weights.grad, [0, -4 * math.sin(0.5), 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("zero", [0, 1])
def test_a_product_has_the_right_gradient_where_a_factor_is_zero(zero):
    circuit = Circuit.of(1, [gate("RX", 0, feature(0, 1)), gate("H", 0)], [PauliString.parse("Y")])
    features = torch.tensor([[0.8, 0.8]], dtype=DOUBLE)
    features[0, zero] = 0
    features.requires_grad_()
    expectations(compile_plan(circuit), features, torch.zeros(0, dtype=DOUBLE)).sum().backward()
    expected = [[0.8, 0.0]] if zero == 0 else [[0.0, 0.8]]
    np.testing.assert_allclose(features.grad, expected, rtol=0, atol=1e-14)
