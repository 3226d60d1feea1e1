"""PennyLane's lightning devices: adjoint differentiation, which run a broadcast batch sample by sample."""

from __future__ import annotations

import numpy as np
import pennylane as qml

from peers.qnode import circuit_of
from peers.torch_step import torch_step
from peers.workload import Prepared, Workload

DEVICES = {"cpu": "lightning.qubit", "cuda": "lightning.gpu"}

# With several observables, one vector-Jacobian product beats a whole Jacobian from about this many qubits on.
VJP_FROM = 14


def prepare(work: Workload) -> Prepared:
    """A QNode, and a step that hands it the batch, which it splits faster than a loop around it would."""
    c_dtype = {"float32": np.complex64, "float64": np.complex128}[work.precision]
    device = qml.device(DEVICES[work.device], wires=work.n_qubits, c_dtype=c_dtype)
    vjp = work.n_qubits >= VJP_FROM and len(work.observables) > 1
    node = qml.QNode(circuit_of(work), device, interface="torch", diff_method="adjoint", device_vjp=vjp)
    return Prepared(torch_step(node, work), work.precision)
