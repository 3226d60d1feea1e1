"""PennyLane's default.qubit: parameter broadcasting, and backpropagation through torch, on either device."""

from __future__ import annotations

import pennylane as qml

from peers.qnode import circuit_of
from peers.torch_step import torch_step
from peers.workload import Prepared, Workload


def prepare(work: Workload) -> Prepared:
    """A broadcast QNode, and a step through it."""
    device = qml.device("default.qubit", wires=work.n_qubits)
    node = qml.QNode(circuit_of(work), device, interface="torch", diff_method="backprop")
    return Prepared(torch_step(node, work, work.device), _precision_of(device))


def _precision_of(device: qml.devices.Device) -> str:
    """default.qubit begins in a complex128 state whatever its parameters are."""
    state = qml.QNode(qml.state, device)()
    return {"complex64": "float32", "complex128": "float64"}[str(state.dtype)]
