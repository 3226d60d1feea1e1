"""PennyLane's lightning devices: adjoint differentiation, which run a broadcast batch sample by sample."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import torch

from peers.qnode import circuit_of, stacked
from peers.workload import Prepared, Result, Workload

DEVICES = {"cpu": "lightning.qubit", "cuda": "lightning.gpu"}

# With several observables, one vector-Jacobian product beats a whole Jacobian from about this many qubits on.
VJP_FROM = 14


def prepare(work: Workload) -> Prepared:
    """A QNode, and a step that hands it the batch, which it splits faster than a loop around it would."""
    c_dtype = {"float32": np.complex64, "float64": np.complex128}[work.precision]
    device = qml.device(DEVICES[work.device], wires=work.n_qubits, c_dtype=c_dtype)
    vjp = work.n_qubits >= VJP_FROM and len(work.observables) > 1
    node = qml.QNode(circuit_of(work), device, interface="torch", diff_method="adjoint", device_vjp=vjp)
    dtype = getattr(torch, work.precision)
    features = torch.tensor(work.features, dtype=dtype, requires_grad=True)
    weights = torch.tensor(work.weights, dtype=dtype, requires_grad=True)
    cotangent = torch.tensor(work.cotangent, dtype=dtype)

    def step() -> Result:
        features.grad = weights.grad = None
        values = stacked(node(features, weights))
        (values * cotangent).sum().backward()
        return values.detach(), features.grad, weights.grad

    return Prepared(step, work.precision)
