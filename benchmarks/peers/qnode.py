"""The workload as a PennyLane quantum function, for every peer that is a PennyLane device."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import matmul
from typing import Any

import pennylane as qml

from peers.workload import Workload, angle_value

GATES = {
    "H": qml.Hadamard,
    "RX": qml.RX,
    "RY": qml.RY,
    "RZ": qml.RZ,
    "ROT": qml.Rot,
    "CNOT": qml.CNOT,
    "CZ": qml.CZ,
}
PAULIS = {"X": qml.PauliX, "Y": qml.PauliY, "Z": qml.PauliZ}


def circuit_of(work: Workload) -> Callable[[Any, Any], Any]:
    """The quantum function of (features, weights) that PennyLane traces."""
    gates = list(work.gates)
    observables = [
        reduce(matmul, [PAULIS[letter](qubit) for qubit, letter in each]) for each in work.observables
    ]

    def run(features: Any, weights: Any) -> Any:
        for gate in gates:
            angles = [angle_value(angle, features, weights) for angle in gate.angles]
            GATES[gate.name](*angles, wires=gate.qubits)
        return [qml.expval(observable) for observable in observables]

    return run


def stacked(values: Any) -> Any:
    """Expectations (…, M) from the list that a QNode returns."""
    return qml.math.stack(list(values), axis=-1)
