"""What the device refuses, and by which error."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane.devices import ExecutionConfig
from pennylane.exceptions import DeviceError, QuantumFunctionError, WireError
from pennylane_device.nodes import BATCH, DOUBLE, WEIGHTS, device, read


class TestRefusals:
    def test_noise(self):
        @qml.qnode(device(1))
        def circuit():
            qml.DepolarizingChannel(0.1, wires=0)
            return qml.expval(qml.Z(0))

        with pytest.raises(DeviceError, match=r"DepolarizingChannel.* not supported with hybridqies"):
            circuit()

    def test_a_wire_that_is_not_there(self):
        with pytest.raises(WireError, match="not found on the device"):
            qml.QNode(read, device(2))(BATCH, WEIGHTS)

    def test_adjoint_gradients_of_probabilities(self):
        @qml.qnode(device(1), diff_method="adjoint")
        def circuit(x):
            qml.RX(x, 0)
            return qml.probs(wires=0)

        with pytest.raises(QuantumFunctionError, match="does not support adjoint with requested circuit"):
            circuit(qml.numpy.array(0.3, requires_grad=True))

    def test_a_second_circuit_that_has_no_adjoint_gradient(self):
        x = torch.tensor(0.3, requires_grad=True)
        read = (qml.expval(qml.Z(0)), qml.probs(wires=0))
        tapes = [qml.tape.QuantumScript([qml.RX(x, 0)], [each]) for each in read]
        with pytest.raises(DeviceError, match="use diff_method='parameter-shift'"):
            qml.execute(tapes, device(1), diff_method="best")

    def test_trainable_matrices(self):
        @qml.qnode(device(2))
        def circuit(x):
            qml.QubitUnitary(torch.linalg.matrix_exp(1j * x * torch.eye(4)), wires=[0, 1])
            return qml.expval(qml.Z(0))

        with pytest.raises(DeviceError, match="QubitUnitary on 2 wires was given trainable parameters"):
            circuit(torch.tensor(0.3, requires_grad=True))

    def test_second_derivatives(self):
        x = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)

        def circuit(x):
            qml.RX(x, 0)
            return qml.expval(qml.Z(0))

        with pytest.raises(QuantumFunctionError, match="does not support adjoint"):
            qml.QNode(circuit, device(1), diff_method="adjoint", max_diff=2)(x)
        gradient = torch.autograd.grad(qml.QNode(circuit, device(1), max_diff=2)(x), x, create_graph=True)[0]
        curvature = torch.autograd.grad(gradient, x)[0]
        np.testing.assert_allclose(curvature, -np.cos(0.3), rtol=0, atol=1e-10)

    @pytest.mark.parametrize("method", ["one-shot", "tree-traversal"])
    def test_other_ways_to_measure_in_the_circuit(self, method):
        @qml.set_shots(10)
        @qml.qnode(device(1), mcm_method=method)
        def circuit():
            qml.measure(0)
            return qml.expval(qml.Z(0))

        with pytest.raises(DeviceError, match=f"'{method}'; expected 'deferred'"):
            circuit()

    def test_options(self):
        with pytest.raises(DeviceError, match="device options max_workers; expected none"):
            device(1).preprocess(ExecutionConfig(device_options={"max_workers": 2}))

    def test_batches_of_two_sizes(self):
        tape = qml.tape.QuantumScript([qml.RX(np.ones(2), 0), qml.RX(np.ones(3), 1)], [qml.expval(qml.Z(0))])
        with pytest.raises(DeviceError, match=r"batches of \[2, 3\]"):
            device(2).execute(tape)

    def test_observables_that_are_not_hermitian(self):
        tape = qml.tape.QuantumScript([], [qml.expval(1j * qml.Z(0))])
        with pytest.raises(DeviceError, match="not Hermitian"):
            device(1).execute(tape)

    def test_states_that_do_not_fit(self):
        @qml.qnode(device(45))
        def circuit():
            qml.RX(0.1, 44)
            return qml.state()

        with pytest.raises(DeviceError, match="GiB"):
            circuit()


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_a_batch_of_two_axes_is_refused(convert):
    def rotate(angles):
        qml.RX(angles, 0)
        return qml.expval(qml.Z(0))

    with pytest.raises((DeviceError, ValueError), match=r"axis|dimension|shape"):
        qml.QNode(rotate, device(1))(convert(np.ones((2, 3))))
