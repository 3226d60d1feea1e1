"""Gradients through the device, by every interface and method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from pennylane.devices import ExecutionConfig
from pennylane.exceptions import DeviceError
from pennylane_device.nodes import BATCH, DOUBLE, NAME, WEIGHTS, close, device, layers, read
from references import by_pennylane, inputs_of
from strategies import Case, cases

from hybridqies.circuit import to_pennylane


def through_device(case: Case, inputs: Any) -> torch.Tensor:
    """Expectations (B, M) of a case by PennyLane on our device."""
    features, weights, amplitudes = inputs
    ours = device(case.circuit.n_qubits)
    node = qml.QNode(to_pennylane(case.circuit), ours, interface="torch", diff_method="adjoint")
    columns = node(features, weights, amplitudes)
    return torch.stack([each.expand(len(features)) for each in columns], dim=1)


@pytest.mark.parametrize("complex_amplitudes", [False, True])
def test_random_circuits_with_gradients_of_features_and_weights(complex_amplitudes):
    @settings(max_examples=20, deadline=None)
    @given(cases(complex_amplitudes=complex_amplitudes, batch=3))
    def run(case):
        ours, theirs = (inputs_of(case, DOUBLE, wants_gradient=True) for _ in range(2))
        mine, others = through_device(case, ours), by_pennylane(case.circuit, theirs)
        np.testing.assert_allclose(mine.detach(), others.detach(), rtol=0, atol=1e-10)
        cotangent = torch.linspace(-1, 1, mine.numel(), dtype=DOUBLE).reshape(mine.shape)
        if mine.requires_grad:
            (mine * cotangent).sum().backward()
            (others * cotangent).sum().backward()
        for own, other in zip(ours[:2], theirs[:2], strict=True):
            close([_gradient(own)], [_gradient(other)])

    run()


def _gradient(leaf: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


@pytest.mark.parametrize("method", ["adjoint", "best"])
def test_gradients_through_torch_with_a_batch(method):
    results = []
    for name, how in ((NAME, method), ("default.qubit", "backprop")):
        x, w = torch.tensor(BATCH, requires_grad=True), torch.tensor(WEIGHTS, requires_grad=True)
        values = torch.stack(qml.QNode(read, qml.device(name, wires=3), diff_method=how)(x, w))
        (values.sin() * torch.arange(12.0).reshape(3, 4)).sum().backward()
        results.append((values, x.grad, w.grad))
    close(results[0], results[1])


@pytest.mark.parametrize("method", ["adjoint", "best"])
def test_jacobians_through_autograd_with_a_batch(method):
    x, w = qml.numpy.array(BATCH, requires_grad=True), qml.numpy.array(WEIGHTS, requires_grad=True)
    ours = qml.QNode(read, device(3), diff_method=method)
    theirs = qml.QNode(read, qml.device("default.qubit", wires=3), diff_method="backprop")
    close(*(qml.jacobian(lambda *v, f=f: qml.math.real(qml.math.stack(f(*v))))(x, w) for f in (ours, theirs)))


def test_results_outside_a_node_keep_their_gradient():
    x = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
    tape = qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))])
    device(1).execute(tape).backward()  # type: ignore[attr-defined]
    np.testing.assert_allclose(x.grad, -np.sin(0.3), rtol=0, atol=1e-12)
    assert isinstance(device(1).execute(tape.bind_new_parameters([0.3], [0])), np.ndarray)


def test_gradients_of_one_sample_by_parameter_shift_and_by_the_adjoint_method_agree():
    w = qml.numpy.array(WEIGHTS, requires_grad=True)
    x = qml.numpy.array(BATCH[0], requires_grad=False)
    jacobians = [
        qml.jacobian(lambda v, m=m: qml.math.stack(qml.QNode(read, device(3), diff_method=m)(x, v)))(w)
        for m in ("adjoint", "parameter-shift")
    ]
    close(jacobians[:1], jacobians[1:])


def test_coefficients_of_an_observable_are_trainable():
    def energy(c, w):
        layers(0.3, w)
        return qml.expval(qml.Hamiltonian(c, [qml.Z(0), qml.X(1) @ qml.X(2), qml.Z(0)]))

    results = []
    for name, how in ((NAME, "adjoint"), ("default.qubit", "backprop")):
        c, w = torch.tensor([0.5, -1.0, 2.0], dtype=DOUBLE, requires_grad=True), torch.tensor(WEIGHTS)
        value = qml.QNode(energy, qml.device(name, wires=3), diff_method=how)(c, w)
        value.backward()
        results.append((value, c.grad))
    close(results[0], results[1])
    c = qml.numpy.array([0.5, -1.0, 2.0], requires_grad=True)
    node = qml.QNode(energy, device(3), diff_method="adjoint")
    close([qml.grad(node)(c, WEIGHTS)], [results[1][1]])


def test_amplitudes_are_trainable():
    def circuit(v, w):
        qml.AmplitudeEmbedding(v, wires=[2, 0], normalize=True, pad_with=0.1)
        layers(0.3, w)
        return qml.expval(qml.Z(0) @ qml.Y(1)), qml.expval(qml.X(2))

    results = []
    for name, how in ((NAME, "adjoint"), ("default.qubit", "backprop")):
        v = torch.tensor([[0.3, 0.5, -1.0], [1.0, 0.2, 0.9]], dtype=DOUBLE, requires_grad=True)
        w = torch.tensor(WEIGHTS, requires_grad=True)
        values = torch.stack(qml.QNode(circuit, qml.device(name, wires=3), diff_method=how)(v, w))
        values.cos().sum().backward()
        results.append((values, v.grad, w.grad))
    close(results[0], results[1])


class TestDerivatives:
    """What interfaces other than torch and autograd call."""

    config = ExecutionConfig(gradient_method="adjoint")

    def tape(self, *measurements: Any) -> Any:
        operations = [qml.RX(0.3, 0), qml.RY(0.4, 1), qml.CNOT([0, 1]), qml.GlobalPhase(0.2)]
        return qml.tape.QuantumScript(operations, measurements, trainable_params=[0, 1, 2])

    def test_jacobians(self):
        one, two = qml.expval(qml.Z(1)), qml.expval(qml.X(0) @ qml.Y(1))
        for measurements in ((one,), (one, two)):
            tape = self.tape(*measurements)
            ours = device(2).compute_derivatives(tape, self.config)
            theirs = qml.device("default.qubit", wires=2).compute_derivatives(
                tape.copy(ops=tape.operations[:3], trainable_params=[0, 1]), self.config
            )
            ours, theirs = (each if len(measurements) > 1 else (each,) for each in (ours, theirs))
            for row, other in zip(ours, theirs, strict=True):
                close(row[:2], other)
                assert row[2] == 0

    def test_products_with_a_vector(self):
        tape = self.tape(qml.expval(qml.Z(1)), qml.expval(qml.X(0)))
        values, gradients = device(2).execute_and_compute_vjp(tape, (0.5, -2.0), self.config)
        jacobian = np.array(device(2).compute_derivatives(tape, self.config))
        close([np.array(gradients)], [np.array([0.5, -2.0]) @ jacobian])
        close(values, device(2).execute(tape))

    @pytest.mark.parametrize("method", ["compute_vjp", "compute_derivatives"])
    def test_gradients_do_not_depend_on_torchs_switch(self, method):
        tape = qml.tape.QuantumScript([qml.RX(0.4, 0)], [qml.expval(qml.Z(0))])
        given = ([tape], (1.0,)) if method == "compute_vjp" else ([tape],)
        with torch.no_grad():
            (gradients,) = getattr(device(1), method)(*given, self.config)
        np.testing.assert_allclose(np.ravel(gradients), -np.sin(0.4), rtol=0, atol=1e-12)

    def test_nothing_to_train(self):
        tape = self.tape(qml.expval(qml.Z(1))).copy(trainable_params=[])
        assert device(2).compute_vjp(tape, 1.0, self.config) == ()  # type: ignore[arg-type]

    def test_refuses_what_has_none(self):
        with pytest.raises(DeviceError, match="exact expectations of Pauli words"):
            device(2).compute_vjp(self.tape(qml.probs(wires=0)), 1.0, self.config)  # type: ignore[arg-type]
        batch = qml.tape.QuantumScript([qml.RX(np.ones(3), 0)], [qml.expval(qml.Z(0))])
        with pytest.raises(DeviceError, match="batch of 3"):
            device(1).compute_derivatives(batch, self.config)
