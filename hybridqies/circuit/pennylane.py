"""Circuits to PennyLane: a quantum function for a QNode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from hybridqies.circuit.circuit import Angle, Circuit, Constant, Feature, Gate, PauliString, Start, Weight
from hybridqies.errors import CircuitError

PENNYLANE_NAMES = {
    "H": "Hadamard",
    "X": "PauliX",
    "Y": "PauliY",
    "Z": "PauliZ",
    "S": "S",
    "SDG": "S",
    "T": "T",
    "TDG": "T",
    "SX": "SX",
    "SXDG": "SX",
    "RX": "RX",
    "RY": "RY",
    "RZ": "RZ",
    "P": "PhaseShift",
    "ROT": "Rot",
    "U": "U3",
    "CNOT": "CNOT",
    "CY": "CY",
    "CZ": "CZ",
    "SWAP": "SWAP",
    "CRX": "CRX",
    "CRY": "CRY",
    "CRZ": "CRZ",
    "RXX": "IsingXX",
    "RYY": "IsingYY",
    "RZZ": "IsingZZ",
}

QuantumFunction: TypeAlias = Callable[..., list[Any]]


def to_pennylane(circuit: Circuit) -> QuantumFunction:
    """A quantum function `(features, weights, amplitudes=None)` that returns the expectations, for a QNode.

    `features` is (F,) or (B, F), `weights` (W,) or (B, W), `amplitudes` (2**n,)
    or (B, 2**n) of norm 1; a batch runs by PennyLane's parameter broadcasting.
    Wires are 0 to n-1. Either of the first two may be None when the circuit
    has none of them.

    >>> node = qml.QNode(to_pennylane(circuit), qml.device("default.qubit"))

    Raises
    ------
    CircuitError: when called, if amplitudes are missing or not wanted.
    """

    def quantum_function(features: Any, weights: Any, amplitudes: Any = None) -> list[Any]:
        import pennylane as qml

        _start(circuit, amplitudes)
        for each in circuit.gates:
            operation = getattr(qml, PENNYLANE_NAMES[each.type.name])
            if each.type.name.endswith("DG"):
                operation = qml.adjoint(operation)
            operation(*_values(each, features, weights), wires=list(each.qubits))
        return [qml.expval(_observable(each)) for each in circuit.observables]

    return quantum_function


def _start(circuit: Circuit, amplitudes: Any) -> None:
    import pennylane as qml

    if (amplitudes is not None) != (circuit.start is Start.AMPLITUDES):
        raise CircuitError(
            f"circuit {circuit.name!r} was given {'no ' if amplitudes is None else ''}amplitudes",
            expected=f"{circuit.n_amplitudes} amplitudes"
            if circuit.n_amplitudes
            else "none: it starts from |0…0⟩",
        )
    if amplitudes is not None:
        qml.StatePrep(amplitudes, wires=range(circuit.n_qubits))


def _values(gate: Gate, features: Any, weights: Any) -> list[Any]:
    """The gate's angles, all of one kind: PennyLane cannot mix tensors and plain numbers in one gate."""
    values = [_value(angle, features, weights) for angle in gate.angles]
    arrays = [value for value in values if hasattr(value, "shape")]
    return [value if hasattr(value, "shape") or not arrays else value + 0 * arrays[0] for value in values]


def _value(angle: Angle, features: Any, weights: Any) -> Any:
    match angle:
        case Constant(value):
            return value
        case Weight(index, scale):
            return scale * weights[..., index]
        case Feature(indices, scale):
            return scale * math.prod((features[..., i] for i in indices[1:]), start=features[..., indices[0]])


def _observable(string: PauliString) -> Any:
    import pennylane as qml

    if not string.factors:
        return qml.Identity(0)
    factors = [getattr(qml, f"Pauli{letter}")(qubit) for qubit, letter in string.factors]
    return factors[0] if len(factors) == 1 else qml.prod(*factors)
