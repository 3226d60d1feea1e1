"""Circuits to PennyLane: a quantum function for a QNode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from hybridqies.circuit.angles import evaluate
from hybridqies.circuit.circuit import Circuit, Gate, PauliString, Start
from hybridqies.errors import CircuitError

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
            theirs = each.type.pennylane
            operation = getattr(qml, theirs.name)
            if theirs.adjoint:
                operation = qml.adjoint(operation)
            operation(*theirs.angles(_values(each, features, weights)), wires=list(each.qubits))
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
    values = [evaluate(angle, lambda i: features[..., i], lambda i: weights[..., i]) for angle in gate.angles]
    arrays = [value for value in values if hasattr(value, "shape")]
    return [value if hasattr(value, "shape") or not arrays else value + 0 * arrays[0] for value in values]


def _observable(string: PauliString) -> Any:
    import pennylane as qml

    if not string.factors:
        return qml.Identity(0)
    factors = [getattr(qml, f"Pauli{letter}")(qubit) for qubit, letter in string.factors]
    return factors[0] if len(factors) == 1 else qml.prod(*factors)
