"""The gates of a Qiskit circuit in terms of ours: recognised by class, or expanded by their definitions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridqies.circuit.gate_type import GateType, Own, Rows
from hybridqies.circuit.gates import GATES
from hybridqies.errors import CircuitError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Instruction

MAX_EXPANDED = 100_000
"""Gates inside definitions that are read at most: definitions of definitions double quickly."""


@dataclass(frozen=True, slots=True)
class Step:
    """One gate of ours whose angles are still numbers or Qiskit expressions."""

    type: GateType
    qubits: tuple[int, ...]
    angles: tuple[Any, ...]


def steps_of(quantum_circuit: QuantumCircuit) -> list[Step]:
    """The gates of a Qiskit circuit in terms of ours.

    Raises
    ------
    CircuitError: a gate without definition, a reset, classical control, a measurement that is not
        final, or definitions that expand to more than MAX_EXPANDED gates.
    """
    try:
        return list(_Reader().circuit(quantum_circuit))
    except RecursionError:
        raise CircuitError(
            f"the gates of {quantum_circuit.name!r} are defined by others too many levels deep",
            todo="decompose the circuit first",
        ) from None


class _Reader:
    """Reads one circuit. A gate is recognised by its class; any gate may have any name."""

    def __init__(self) -> None:
        import qiskit.circuit.library as library

        standard = library.get_standard_gate_name_mapping()
        self._of_class: Mapping[tuple[type, str | None], GateType] = {
            (standard[row.qiskit.name].base_class, row.qiskit.label): row
            for row in GATES.values()
            if row.qiskit.name in standard
        }
        self._of_name = {row.qasm.name: row for row in GATES.values()}
        self._silent = (library.Barrier, library.IGate, library.GlobalPhaseGate)
        self._measure = library.Measure
        self._n_expanded = 0

    def circuit(self, quantum_circuit: QuantumCircuit) -> Iterator[Step]:
        measured: set[int] = set()
        places = {qubit: at for at, qubit in enumerate(quantum_circuit.qubits)}
        for row in quantum_circuit.data:
            qubits = tuple(places[qubit] for qubit in row.qubits)
            if _class(row.operation) in self._silent:
                continue
            for qubit in qubits:
                if qubit in measured:
                    raise CircuitError(
                        f"qubit {qubit} is measured before the end", expected="final measurements only"
                    )
            if _class(row.operation) is self._measure:
                measured.update(qubits)
            else:
                yield from self._expanded(row.operation, qubits)

    def _expanded(self, operation: Instruction, qubits: tuple[int, ...]) -> Iterator[Step]:
        known = self._recognised(operation, qubits)
        if known is not None:
            yield known
            return
        definition = getattr(operation, "definition", None)
        if definition is None or _class(operation) is self._measure:
            raise CircuitError(
                f"Qiskit instruction {operation.name!r} has no counterpart here",
                expected="unitary gates that are in the gate set or defined by such",
            )
        places = {qubit: qubits[at] for at, qubit in enumerate(definition.qubits)}
        for row in definition.data:
            self._n_expanded += 1
            if self._n_expanded > MAX_EXPANDED:
                raise CircuitError(
                    f"the definition of {operation.name!r} and others expand to too many gates",
                    expected=f"at most {MAX_EXPANDED:,}",
                )
            if _class(row.operation) not in self._silent:
                yield from self._expanded(row.operation, tuple(places[qubit] for qubit in row.qubits))

    def _recognised(self, operation: Instruction, qubits: tuple[int, ...]) -> Step | None:
        kind, given = _class(operation), tuple(getattr(operation, "params", ()))
        label = getattr(operation, "label", None)
        row = self._of_class.get((kind, label)) or self._of_class.get((kind, None))
        if row is not None:
            # A control may also act where its qubit is 0; such a gate is expanded.
            is_plain = getattr(operation, "ctrl_state", 1) == 1
            return Step(row, qubits, row.qiskit.own_angles(given)) if is_plain else None
        row = self._of_name.get(operation.name)
        if row is None or len(qubits) != row.n_qubits or len(given) != len(row.angles):
            return None
        own = row.qasm.own_angles(given)
        return Step(row, qubits, own) if self._is_same(operation, row, own) else None

    def _is_same(self, operation: Instruction, row: GateType, angles: Sequence[Any]) -> bool:
        """Whether a custom gate with the name of one of ours has the same matrix as ours."""
        if any(getattr(angle, "parameters", ()) for angle in angles):
            return self._is_defined_so(operation, row, angles)
        from qiskit.exceptions import QiskitError
        from qiskit.quantum_info import Operator

        try:
            theirs = Operator(operation)
            ours = Operator(_reversed(row.matrix(*map(float, angles))))
            return bool(theirs.equiv(ours))
        except (QiskitError, TypeError):
            return False

    def _is_defined_so(self, operation: Instruction, row: GateType, angles: Sequence[Any]) -> bool:
        """Whether the definition equals that of our row gate for gate, and so at every angle."""
        expected = [
            (GATES[part.name], part.places, [_own(angle, angles) for angle in part.angles])
            for part in row.definition
        ]
        definition = getattr(operation, "definition", None)
        if definition is None or not expected:
            return False
        found = [(step.type, step.qubits, list(step.angles)) for step in self.circuit(definition)]
        return len(found) == len(expected) and all(
            theirs[:2] == ours[:2] and all(map(_equal, theirs[2], ours[2]))
            for theirs, ours in zip(found, expected, strict=True)
        )


def _class(operation: Instruction) -> type:
    """The class of an operation; Qiskit makes singletons of subclasses of their own."""
    return getattr(operation, "base_class", type(operation))


def _own(angle: float | Own, angles: Sequence[Any]) -> Any:
    return angles[angle.index] if isinstance(angle, Own) else angle


def _equal(theirs: Any, ours: Any) -> bool:
    if getattr(theirs, "parameters", ()) or getattr(ours, "parameters", ()):
        return bool(theirs == ours)
    return math.isclose(float(theirs), float(ours), abs_tol=1e-12)


def _reversed(rows: Rows) -> list[list[complex]]:
    """The matrix of a one- or two-qubit gate in Qiskit's order of the qubits."""
    order = range(2) if len(rows) == 2 else (0, 2, 1, 3)
    return [[rows[row][column] for column in order] for row in order]
