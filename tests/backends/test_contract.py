"""What every backend of the table promises; a new row is tested by being there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from references import by_pennylane, doubled, inputs_of
from strategies import case_of, cases, circuits, every_gate

from hybridqies.backends import BACKENDS, Backend, Capabilities, backend_class, load_backend
from hybridqies.circuit import Circuit, Start, Weight, feature, gate, load_circuit
from hybridqies.errors import CapabilityError, InputError

DOUBLE = torch.float64
NAMES = sorted(BACKENDS)
ABLE = {name: backend_class(name).capabilities for name in NAMES}
# What can be asked for its exact answer, here and for nothing.
EXACT = [
    name for name, able in ABLE.items() if not (able.shots or able.noise or able.hardware or able.costs_money)
]


def starts(name: str) -> tuple[Start, ...]:
    return tuple(Start) if ABLE[name].amplitude_input else (Start.ZERO,)


def amplitude_circuit() -> Circuit:
    return Circuit.of(
        2,
        [gate("RY", 0, feature(0)), gate("CRX", (0, 1), Weight(0))],
        start=Start.AMPLITUDES,
        name="amplitudes",
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_tells_what_it_is(name):
    kind = backend_class(name)
    assert issubclass(kind, Backend)
    assert kind.name == name
    assert kind.summary
    assert isinstance(kind.capabilities, Capabilities)
    assert kind.capabilities.max_qubits >= 1
    assert type(load_backend(name)) is kind
    assert load_backend(name) is not load_backend(name)


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=10, deadline=None)
@given(data=cases(circuits(max_qubits=4, max_gates=10)))
def test_values_and_gradients_are_exact(name, data):
    if data.circuit.start not in starts(name):
        data = case_of(circuit_from_zero(data.circuit), seed=0)
    inputs = inputs_of(data, wants_gradient=True)
    reference = doubled(inputs)
    ours = load_backend(name).expectations(data.circuit, *inputs)
    theirs = by_pennylane(data.circuit, reference)
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=0, atol=1e-10)
    if theirs.requires_grad and ours.requires_grad:
        for mine, other in zip(slopes(ours, inputs), slopes(theirs, reference), strict=True):
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-10)


def circuit_from_zero(circuit: Circuit) -> Circuit:
    return Circuit.of(circuit.n_qubits, circuit.gates, circuit.observables)


def slopes(values, inputs):
    given = [each for each in inputs if each is not None]
    return torch.autograd.grad(values.sum(), given, materialize_grads=True)


@pytest.mark.parametrize("name", EXACT)
def test_a_batch_is_its_samples(name):
    backend, circuit = load_backend(name), every_gate()
    features, weights, _ = inputs_of(case_of(circuit, seed=1, batch=5))
    rows = torch.stack([weights * (1 + b / 7) for b in range(5)])
    together = backend.expectations(circuit, features, rows)
    assert together.shape == (5, len(circuit.observables))
    for b in range(5):
        alone = backend.expectations(circuit, features[b : b + 1], rows[b])
        np.testing.assert_allclose(together[b : b + 1], alone, rtol=0, atol=1e-12)
    assert torch.equal(together, backend.expectations(circuit, features, rows))


@pytest.mark.parametrize("name", EXACT)
def test_circuits_do_not_mix(name):
    backend = load_backend(name)
    weights = torch.tensor([0.4], dtype=DOUBLE)
    values = []
    for axis in ("RX", "RY", "RX"):
        circuit = Circuit.of(1, [gate("H", 0), gate(axis, 0, Weight(0))])
        values.append(backend.expectations(circuit, torch.zeros(1, 0, dtype=DOUBLE), weights))
        del circuit
    np.testing.assert_allclose(torch.cat(values)[:, 0], [0, -np.sin(0.4), 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EXACT)
def test_precision_is_kept(name):
    circuit = every_gate()
    for dtype in (torch.float32, DOUBLE):
        features, weights, _ = inputs_of(case_of(circuit, seed=1), dtype)
        assert load_backend(name).expectations(circuit, features, weights).dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_what_it_cannot_do_it_refuses_before_it_runs(name, monkeypatch):
    backend = load_backend(name)
    monkeypatch.setattr(type(backend), "_run", lambda *given: pytest.fail("it ran"))
    able = backend.capabilities
    large = Circuit.of(able.max_qubits + 1, [gate("RX", 0, Weight(0))])
    with pytest.raises(CapabilityError, match=f"{able.max_qubits + 1} qubits .*{name}"):
        backend.expectations(large, torch.zeros(1, 0), torch.zeros(1))
    backend.check(Circuit.of(able.max_qubits, [gate("RX", 0, Weight(0))]))
    if able.amplitude_input:
        backend.check(amplitude_circuit())
    else:
        with pytest.raises(CapabilityError, match=f"starts from amplitudes, which backend '{name}'"):
            backend.check(amplitude_circuit())


BAD_TENSORS = {
    "features were given with shape": (torch.zeros(2, 3), torch.zeros(1), None),
    r"features were given with shape \(1,\)": (torch.zeros(1), torch.zeros(1), None),
    "weights were given with shape": (torch.zeros(2, 1), torch.zeros(2), None),
    "weights were given for 3 samples and features for 2": (torch.zeros(2, 1), torch.zeros(3, 1), None),
    "weights are float64 and features are float32": (torch.zeros(2, 1), torch.zeros(1, dtype=DOUBLE), None),
    "features are int32": (torch.zeros(2, 1, dtype=torch.int32), torch.zeros(1), None),
    "weights are complex64": (torch.zeros(2, 1), torch.zeros(1, dtype=torch.complex64), None),
    "features hold NaN": (torch.full((2, 1), torch.nan), torch.zeros(1), None),
    "weights are on meta": (torch.zeros(2, 1), torch.zeros(1, device="meta"), None),
    "starts from zero, and amplitudes were given": (torch.zeros(2, 1), torch.zeros(1), torch.ones(2, 4)),
}
BAD_AMPLITUDES = {
    "starts from amplitudes, and amplitudes were not given": None,
    r"amplitudes were given with shape \(2, 3\)": torch.ones(2, 3),
    r"amplitudes were given with shape \(1, 4\)": torch.ones(1, 4),
    "amplitudes are float64 and features are float32": torch.ones(2, 4, dtype=DOUBLE),
    "amplitudes are complex128 and features are float32": torch.ones(2, 4, dtype=torch.complex128),
    "amplitudes hold NaN": torch.full((2, 4), torch.inf),
    "amplitude vector of sample 0 is zero": torch.zeros(2, 4),
}


@pytest.mark.parametrize("message", BAD_TENSORS)
@pytest.mark.parametrize("name", NAMES)
def test_bad_tensors_are_refused_in_one_line(name, message):
    circuit = circuit_from_zero(amplitude_circuit())
    with pytest.raises(InputError, match=message) as caught:
        load_backend(name).expectations(circuit, *BAD_TENSORS[message])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("message", BAD_AMPLITUDES)
@pytest.mark.parametrize("name", [name for name in NAMES if ABLE[name].amplitude_input])
def test_bad_amplitudes_are_refused_in_one_line(name, message):
    with pytest.raises(InputError, match=message) as caught:
        load_backend(name).expectations(
            amplitude_circuit(), torch.zeros(2, 1), torch.zeros(1), BAD_AMPLITUDES[message]
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in NAMES if ABLE[name].native_gradients])
def test_native_gradients_reach_every_input(name):
    circuit = load_circuit("strongly-entangling", 3)
    features, weights, _ = inputs_of(case_of(circuit, seed=0), wants_gradient=True)
    load_backend(name).expectations(circuit, features, weights).sum().backward()
    assert features.grad.abs().min() > 0
    assert weights.grad.abs().sum() > 0
