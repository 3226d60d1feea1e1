"""Quantum functions on the device and on PennyLane's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import torch

from hybridqies.pennylane_device import StateVectorDevice

NAME = "hybridqies.statevector"
DOUBLE = torch.float64


def device(wires: Any = None, **options: Any) -> StateVectorDevice:
    return qml.device(NAME, wires=wires, **options)


def both(function: Callable[..., Any], wires: Any, **options: Any) -> tuple[Any, Any]:
    """One quantum function on our device and on default.qubit."""
    ours, theirs = device(wires), qml.device("default.qubit", wires=wires)
    return qml.QNode(function, ours, **options), qml.QNode(function, theirs, **options)


def close(ours: Any, theirs: Any, tolerance: float = 1e-10) -> None:
    ours = [np.asarray(each.detach() if isinstance(each, torch.Tensor) else each) for each in ours]
    theirs = [np.asarray(each.detach() if isinstance(each, torch.Tensor) else each) for each in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)


def layers(x: Any, w: Any) -> None:
    for qubit in range(3):
        qml.RY(x[..., qubit] if hasattr(x, "shape") else x, wires=qubit)
        qml.Rot(w[0], w[1], w[2], wires=qubit)
    qml.CNOT([0, 1])
    qml.CRZ(w[3], [1, 2])
    qml.PhaseShift(w[4], 0)
    qml.IsingXY(w[1], [0, 2])


def read(x: Any, w: Any) -> Any:
    layers(x, w)
    mixed = 0.4 * qml.X(0) @ qml.Z(2) - 1.5 * qml.Y(1) + 0.2 * qml.Z(0) @ qml.Z(1) + 0.7 * qml.I(0)
    return qml.expval(qml.Z(0)), qml.expval(mixed), qml.expval(qml.Z(0))


BATCH = np.linspace(-1.2, 2.1, 12).reshape(4, 3)
WEIGHTS = np.array([0.3, -0.8, 1.1, 0.5, 2.2])
