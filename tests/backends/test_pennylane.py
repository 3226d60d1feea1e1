from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from references import doubled, inputs_of
from strategies import case_of, cases, circuits, every_gate

from hybridqies.backends import Gradient, load_backend, memory
from hybridqies.backends import pennylane as family
from hybridqies.circuit import Circuit, Start, Weight, gate, load_circuit
from hybridqies.errors import CapabilityError, MissingExtraError, UnknownNameError

DOUBLE = torch.float64
NATIVE = ("pennylane:default.qubit", "pennylane:lightning.qubit")


def gradients(values, inputs):
    wanted = [each for each in inputs if each is not None and each.requires_grad]
    return torch.autograd.grad(values.sum(), wanted, materialize_grads=True)


@pytest.mark.parametrize("text", NATIVE)
@settings(max_examples=10, deadline=None)
@given(data=cases(circuits(max_qubits=4, max_gates=10), complex_amplitudes=True))
def test_values_and_gradients_are_those_of_the_native_simulator(text, data):
    inputs = inputs_of(data, wants_gradient=True)
    if data.circuit.start is Start.AMPLITUDES and "lightning" in text:
        inputs[2].requires_grad_(False)
    reference = doubled(inputs)
    ours = load_backend(text).expectations(data.circuit, *inputs)
    theirs = load_backend("statevector").expectations(data.circuit, *reference)
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=0, atol=1e-10)
    if ours.requires_grad and theirs.requires_grad:
        for mine, other in zip(gradients(ours, inputs), gradients(theirs, reference), strict=True):
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "text", [*NATIVE, "pennylane:default.qubit,gradient=shift", "pennylane:default.mixed"]
)
def test_a_training_step_is_one_execution(text, monkeypatch):
    calls = []
    real = qml.execute
    monkeypatch.setattr(qml, "execute", lambda *given, **more: calls.append(given) or real(*given, **more))
    monkeypatch.setattr(
        family._Sweep, "values", lambda self, real=family._Sweep.values: calls.append(self) or real(self)
    )
    case = case_of(load_circuit("strongly-entangling", 3), seed=0, batch=16)
    features, weights, _ = inputs_of(case, wants_gradient=True)
    gradients(load_backend(text).expectations(case.circuit, features, weights), (features, weights))
    assert len(calls) == 1


def test_the_default_target_is_default_qubit():
    assert load_backend("pennylane").spec == "pennylane:default.qubit"


@pytest.mark.parametrize(
    ("text", "native", "gradient"),
    [
        ("pennylane:default.qubit", True, Gradient.ADJOINT),
        ("pennylane:lightning.qubit", True, Gradient.ADJOINT),
        ("pennylane:lightning.qubit,gradient=shift", True, Gradient.SHIFT),
        ("pennylane:default.mixed", False, Gradient.SHIFT),
        ("pennylane:reference.qubit,gradient=spsa", False, Gradient.SPSA),
    ],
)
def test_gradients_are_the_devices_own_where_it_has_them(text, native, gradient):
    backend = load_backend(text)
    assert backend.capabilities.native_gradients is native
    assert backend.options.gradient is gradient
    assert load_backend(backend.spec).options == backend.options


def test_another_device_runs_by_shift_rules():
    case = case_of(load_circuit("strongly-entangling", 2), seed=0)
    results = []
    for text in ("pennylane:reference.qubit", "statevector"):
        inputs = inputs_of(case, wants_gradient=True)
        values = load_backend(text).expectations(case.circuit, *inputs)
        results.append((values.detach(), *gradients(values, inputs)))
    for ours, native in zip(*results, strict=True):
        np.testing.assert_allclose(ours, native, rtol=0, atol=1e-10)


def test_an_unknown_device_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown PennyLane device .* did you mean 'lightning.qubit'"):
        load_backend("pennylane:lightning.qbit")


def test_lightning_gpu_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("hybridqies.backends.base.find_spec", lambda name: None if "gpu" in name else True)
    with pytest.raises(MissingExtraError, match=r"'pennylane:lightning.gpu' .* 'hybridqies\[gpu\]'"):
        load_backend("pennylane:lightning.gpu")


def test_lightning_gpu_is_run_as_lightning_qubit_is(monkeypatch):
    """No GPU is needed to see that nothing but the device's name decides the path."""
    asked = []
    real = qml.device

    def device(name, **given):
        asked.append(name)
        return real("lightning.qubit", **given)

    monkeypatch.setattr("hybridqies.backends.base.find_spec", lambda name: True)
    monkeypatch.setattr(qml, "device", device)
    monkeypatch.setattr(family, "_takes_seed", lambda target: True)
    case = case_of(every_gate(), seed=0)
    results = []
    for text in ("pennylane:lightning.gpu", "pennylane:lightning.qubit"):
        inputs = inputs_of(case, wants_gradient=True)
        values = load_backend(text).expectations(case.circuit, *inputs)
        results.append((values.detach(), *gradients(values, inputs)))
    assert asked[0] == "lightning.gpu"
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_a_device_without_a_seed_gets_no_shots(monkeypatch):
    monkeypatch.setattr(family, "_takes_seed", lambda name: False)
    with pytest.raises(CapabilityError, match=r"'pennylane:default.mixed' was asked for shots.* no seed"):
        load_backend("pennylane:default.mixed,shots=10")


def test_a_device_that_needs_more_packages_names_them(monkeypatch):
    def device(name, **given):
        raise ImportError("This feature requires stim.\n\npip install stim")

    monkeypatch.setattr(qml, "device", device)
    with pytest.raises(CapabilityError, match=r"'default.clifford' refuses: .* pip install stim") as caught:
        load_backend("pennylane:default.clifford")
    assert "\n" not in str(caught.value)


def test_a_circuit_that_a_device_has_no_gates_for_is_refused():
    backend = load_backend("pennylane:default.qutrit.mixed")
    with pytest.raises(CapabilityError, match=r"'default.qutrit.mixed' refuses") as caught:
        backend.expectations(Circuit.of(1, [gate("RX", 0, Weight(0))]), torch.zeros(1, 0), torch.zeros(1))
    assert "\n" not in str(caught.value)


def test_gates_that_a_device_would_split_are_refused_in_a_gradient(monkeypatch):
    """An adjoint sweep differentiates the gates that it sees, which are others after a split."""
    monkeypatch.setattr(family, "_with_rotations", lambda circuit: circuit)
    circuit = Circuit.of(1, [gate("U", 0, Weight(0), Weight(1), Weight(2))])
    weights = torch.ones(3, requires_grad=True)
    with pytest.raises(CapabilityError, match=r"splits gates of 'circuit'.*gradient=shift"):
        load_backend("pennylane:lightning.qubit").expectations(circuit, torch.zeros(1, 0), weights)


def test_more_memory_than_is_free_is_refused_before_backpropagation(monkeypatch):
    monkeypatch.setattr(family, "_ALWAYS_THERE", 0)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    circuit = load_circuit("strongly-entangling", 3)
    weights = torch.ones(circuit.n_weights, requires_grad=True)
    with pytest.raises(CapabilityError, match="4 samples of 3 qubits need about"):
        load_backend("pennylane").expectations(circuit, torch.zeros(4, 3), weights)


@pytest.mark.parametrize("text", ["pennylane:default.qubit,shots=200", "pennylane:lightning.qubit"])
def test_a_large_batch_goes_in_pieces(text, monkeypatch):
    case = case_of(load_circuit("strongly-entangling", 3), seed=0, batch=5)
    features, weights, _ = inputs_of(case)
    whole = load_backend(text).estimate(case.circuit, features, weights)
    monkeypatch.setattr(family, "_AT_ONCE", 2 << 3)
    parts = load_backend(text).estimate(case.circuit, features, weights)
    assert parts.values.shape == whole.values.shape
    limit = 1e-12 if whole.covariance is None else 10 / np.sqrt(200)
    assert (parts.values - whole.values).abs().max() < limit
