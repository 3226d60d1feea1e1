"""PennyLane's default.qubit: parameter broadcasting, and backpropagation through torch."""

from __future__ import annotations

import pennylane as qml
import torch

from peers.qnode import circuit_of, stacked
from peers.workload import Prepared, Result, Workload


def prepare(work: Workload) -> Prepared:
    """A broadcast QNode, and a step through it."""
    device = qml.device("default.qubit", wires=work.n_qubits)
    node = qml.QNode(circuit_of(work), device, interface="torch", diff_method="backprop")
    dtype = getattr(torch, work.precision)
    features = torch.tensor(work.features, dtype=dtype, requires_grad=True)
    weights = torch.tensor(work.weights, dtype=dtype, requires_grad=True)
    cotangent = torch.tensor(work.cotangent, dtype=dtype)

    def step() -> Result:
        features.grad = weights.grad = None
        values = stacked(node(features, weights))
        (values * cotangent).sum().backward()
        return values.detach(), features.grad, weights.grad

    return Prepared(step, _precision_of(device))


def _precision_of(device: qml.devices.Device) -> str:
    """default.qubit begins in a complex128 state whatever its parameters are."""
    state = qml.QNode(qml.state, device)()
    return {"complex64": "float32", "complex128": "float64"}[str(state.dtype)]
