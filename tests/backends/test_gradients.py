"""Shift rules and SPSA against adjoint gradients of the native engine, which PennyLane has proven."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from references import inputs_of
from strategies import cases, circuits

from hybridqies.backends import load_backend
from hybridqies.backends.free_circuit import FreeCircuit
from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import Circuit, Constant, Start, Weight, feature, gate, load_circuit
from hybridqies.errors import CapabilityError

DOUBLE = torch.float64


class Counting(StateVector):
    """The native simulator, made to take the executing path; counts what it is handed."""

    name = "counting"

    def __init__(self, target="", **options):
        super().__init__(target, **options)
        self.submissions = []

    @property
    def is_exact(self):
        return False

    def _execute(self, circuit, angles, amplitudes):
        self.submissions.append(len(angles))
        return super()._execute(circuit, angles, amplitudes)


def gradients(backend, circuit, features, weights):
    values = backend.expectations(circuit, features, weights)
    coefficients = torch.linspace(0.3, 1.7, values.numel(), dtype=DOUBLE).reshape(values.shape)
    given = [each for each in (features, weights) if each.requires_grad]
    return values.detach(), torch.autograd.grad((values * coefficients).sum(), given, materialize_grads=True)


@settings(max_examples=25, deadline=None)
@given(data=cases(circuits(max_qubits=3, max_gates=8, starts=(Start.ZERO,))))
def test_the_shift_rules_are_exact(data):
    features, weights, _ = inputs_of(data, wants_gradient=True)
    if not data.circuit.n_features + data.circuit.n_weights:
        return
    ours, mine = gradients(Counting(gradient="shift"), data.circuit, features, weights)
    exact, theirs = gradients(load_backend("statevector"), data.circuit, features, weights)
    np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-10)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_a_weight_in_several_gates_and_a_product_of_features():
    circuit = Circuit.of(
        2,
        [
            gate("RY", 0, Weight(0, 0.5)),
            gate("CRX", (0, 1), Weight(0, -2.0)),
            gate("RZZ", (0, 1), feature(0, 1, scale=0.7)),
            gate("RX", 1, feature(0, 0)),
            gate("ROT", 0, Weight(1), Constant(0.3), Weight(0)),
            gate("CRY", (1, 0), feature(1)),
        ],
    )
    features = torch.rand(3, 2, dtype=DOUBLE, requires_grad=True)
    weights = torch.rand(3, 2, dtype=DOUBLE, requires_grad=True)
    mine = gradients(Counting(gradient="shift"), circuit, features, weights)[1]
    theirs = gradients(load_backend("statevector"), circuit, features, weights)[1]
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_a_training_step_is_one_submission_of_the_counted_circuits():
    circuit = load_circuit("long-range-reupload", 6)
    backend = Counting(gradient="shift")
    features = torch.rand(16, circuit.n_features, dtype=DOUBLE, requires_grad=True)
    weights = torch.rand(circuit.n_weights, dtype=DOUBLE, requires_grad=True)
    gradients(backend, circuit, features, weights)
    one_frequency = sum(
        each.type.n_frequencies == 1
        for each in circuit.gates
        for angle in each.angles
        if not isinstance(angle, Constant)
    )
    assert backend.submissions == [backend.n_circuits(circuit, 16)] == [16 * (1 + 2 * one_frequency)]


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
def test_only_what_is_wanted_costs(wanted):
    circuit = Circuit.of(2, [gate("RY", 0, feature(0)), gate("CRY", (0, 1), Weight(0)), gate("RX", 1, 0.4)])
    features, weights = torch.rand(4, 1, dtype=DOUBLE), torch.rand(1, dtype=DOUBLE)
    features.requires_grad_(wanted[0])
    weights.requires_grad_(wanted[1])
    backend = Counting(gradient="shift")
    backend.expectations(circuit, features, weights)
    count = backend.n_circuits(circuit, 4, features=wanted[0], weights=wanted[1])
    assert backend.submissions == [count] == [4 * (1 + 2 * wanted[0] + 4 * wanted[1])]


def test_spsa_is_unbiased_and_counts_its_directions():
    circuit = Circuit.of(
        2, [gate("RY", 0, feature(0)), gate("CRY", (0, 1), Weight(0)), gate("RX", 1, Weight(1))]
    )
    features = torch.tensor([[0.4], [1.3]], dtype=DOUBLE, requires_grad=True)
    weights = torch.tensor([0.8, -0.5], dtype=DOUBLE, requires_grad=True)
    exact = gradients(load_backend("statevector"), circuit, features, weights)[1]
    drawn = []
    for seed in range(200):
        backend = Counting(gradient="spsa", directions=3, step=0.01, seed=seed)
        drawn.append(gradients(backend, circuit, features, weights)[1])
        assert backend.submissions == [backend.n_circuits(circuit, 2)] == [2 * (1 + 2 * 3)]
    for at, wanted in enumerate(exact):
        samples = torch.stack([each[at] for each in drawn])
        error = samples.std(dim=0) / math.sqrt(len(samples))
        assert ((samples.mean(dim=0) - wanted).abs() <= 4 * error + 1e-4).all()
        assert (error > 0).all()


def test_a_seed_repeats_spsa_and_another_does_not():
    circuit = load_circuit("long-range-reupload", 4)
    features = torch.rand(2, circuit.n_features, dtype=DOUBLE, requires_grad=True)
    weights = torch.rand(circuit.n_weights, dtype=DOUBLE, requires_grad=True)
    first, again, other = (
        gradients(Counting(gradient="spsa", seed=seed), circuit, features, weights)[1][1]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_second_derivative_is_refused():
    circuit = Circuit.of(1, [gate("RY", 0, Weight(0))])
    weights = torch.rand(1, requires_grad=True)
    value = Counting(gradient="shift").expectations(circuit, torch.zeros(1, 0), weights)
    with pytest.raises(CapabilityError, match="second derivative"):
        torch.autograd.grad(value.sum(), weights, create_graph=True)


def test_a_gradient_in_amplitudes_is_refused():
    circuit = Circuit.of(1, [gate("RY", 0, Weight(0))], start=Start.AMPLITUDES)
    amplitudes = torch.rand(1, 2, requires_grad=True)
    with pytest.raises(CapabilityError, match="amplitudes have no shift rule"):
        Counting(gradient="shift").expectations(circuit, torch.zeros(1, 0), torch.rand(1), amplitudes)


def test_free_angles_are_those_of_the_circuit():
    circuit = load_circuit("long-range-reupload", 5)
    features = torch.rand(3, circuit.n_features, dtype=DOUBLE)
    weights = torch.rand(circuit.n_weights, dtype=DOUBLE)
    free = FreeCircuit.of(circuit)
    native = load_backend("statevector")
    angles = free.values(features, weights)
    assert angles.shape == (3, free.circuit.n_weights)
    np.testing.assert_allclose(
        native.expectations(free.circuit, features[:, :0], angles),
        native.expectations(circuit, features, weights),
        rtol=0,
        atol=1e-12,
    )
