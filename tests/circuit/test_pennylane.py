from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from qiskit.quantum_info import Statevector
from strategies import case_of, cases, every_gate

from hybridqies.circuit import (
    Circuit,
    PauliString,
    Start,
    Weight,
    feature,
    gate,
    load_circuit,
    observables_to_qiskit,
    to_pennylane,
    to_qiskit,
)
from hybridqies.errors import CircuitError


def by_pennylane(circuit, features, weights, amplitudes=None):
    return qml.QNode(to_pennylane(circuit), qml.device("default.qubit"))(features, weights, amplitudes)


def by_qiskit(circuit, features, weights, amplitudes=None):
    built = to_qiskit(circuit, amplitudes=amplitudes)
    values = {
        each: (features if each.vector.name == "x" else weights)[each.index] for each in built.parameters
    }
    state = Statevector(built.assign_parameters(values))
    return [state.expectation_value(each).real for each in observables_to_qiskit(circuit)]


@settings(max_examples=80, deadline=None)
@given(cases(batch=1, complex_amplitudes=True))
def test_pennylane_and_qiskit_agree(case):
    features = case.features[0]
    amplitudes = None if case.amplitudes is None else case.amplitudes[0]
    ours = by_pennylane(case.circuit, features, case.weights, amplitudes)
    theirs = by_qiskit(case.circuit, features, case.weights, amplitudes)
    assert np.abs(np.array(ours) - theirs).max() < 1e-10


def test_pennylane_and_qiskit_agree_on_every_gate():
    case = case_of(every_gate(), seed=1)
    ours = by_pennylane(case.circuit, case.features[0], case.weights)
    theirs = by_qiskit(case.circuit, case.features[0], case.weights)
    assert np.abs(np.array(ours) - theirs).max() < 1e-10
    assert np.abs(ours).min() > 1e-3


@settings(max_examples=40, deadline=None)
@given(cases(batch=3))
def test_a_batch_is_its_samples(case):
    batched = by_pennylane(case.circuit, case.features, case.weights, case.amplitudes)
    amplitudes = [None] * 3 if case.amplitudes is None else case.amplitudes
    single = [
        by_pennylane(case.circuit, features, case.weights, vector)
        for features, vector in zip(case.features, amplitudes, strict=True)
    ]
    for column, value in enumerate(batched):
        expected = [sample[column] for sample in single]
        assert np.abs(np.broadcast_to(value, 3) - expected).max() < 1e-10


def test_a_batch_of_weights_is_its_samples():
    circuit = load_circuit("strongly-entangling", 2)
    weights = np.random.default_rng(0).normal(size=(3, circuit.n_weights))
    features = np.array([0.3, -0.8])
    batched = by_pennylane(circuit, features, weights)
    single = [by_pennylane(circuit, features, each) for each in weights]
    assert np.abs(np.array(batched).T - single).max() < 1e-10


def test_gradients_reach_features_and_weights():
    circuit = load_circuit("strongly-entangling", 3)
    features = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(circuit.n_weights, dtype=torch.float64, requires_grad=True)
    node = qml.QNode(
        to_pennylane(circuit), qml.device("default.qubit"), interface="torch", diff_method="backprop"
    )
    torch.stack(node(features, weights), dim=-1).sum().backward()
    assert features.grad.shape == (4, 3)
    assert features.grad.abs().min() > 0
    assert weights.grad.abs().sum() > 0


def test_what_a_circuit_lacks_may_be_none():
    circuit = Circuit.of(1, [gate("RX", 0, 0.3)], [PauliString.parse("Z"), PauliString.parse("I")])
    assert by_pennylane(circuit, None, None) == pytest.approx([np.cos(0.3), 1.0], abs=1e-12)


@pytest.mark.parametrize(("start", "amplitudes"), [(Start.AMPLITUDES, None), (Start.ZERO, [1.0, 0.0])])
def test_amplitudes_are_never_dropped_or_invented(start, amplitudes):
    circuit = Circuit.of(1, [gate("RX", 0, feature(0))], start=start)
    with pytest.raises(CircuitError, match="amplitudes"):
        by_pennylane(circuit, np.array([0.1]), None, amplitudes)


def test_constants_beside_torch_tensors() -> None:
    circuit = Circuit.of(1, [gate("Rot", 0, 0.3, feature(0), Weight(0)), gate("U", 0, Weight(0), 0.1, 0.2)])
    node = qml.QNode(to_pennylane(circuit), qml.device("default.qubit"), interface="torch")
    features = torch.tensor([[0.4], [0.9]], dtype=torch.float64, requires_grad=True)
    (value,) = node(features, torch.tensor([0.7], dtype=torch.float64))
    value.sum().backward()
    numbers = qml.QNode(to_pennylane(circuit), qml.device("default.qubit"))(
        features.detach().numpy(), torch.tensor([0.7], dtype=torch.float64).numpy()
    )[0]
    assert torch.allclose(value.detach(), torch.as_tensor(numbers), atol=1e-12)
    assert features.grad is not None
    assert features.grad.abs().min() > 0
