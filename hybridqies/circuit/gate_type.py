"""What a row of the gate table holds, and the primitive steps that its lowering is written in."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

# Pauli axes of rotations, as the engine numbers them.
X, Y, Z = 0, 1, 2

Rows: TypeAlias = tuple[tuple[complex, ...], ...]
Item = TypeVar("Item")


class Relabelling(enum.Enum):
    """What the engine does by renaming basis states, without touching an amplitude."""

    FLIP = "X"
    ADD = "CNOT"
    SWAP = "SWAP"


@dataclass(frozen=True, slots=True)
class Relabel:
    """A relabelling of the gate's qubits at `places` (0 is its first qubit)."""

    kind: Relabelling
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rotation:
    """exp(-i scale t/2 P) about the Pauli `axis` X, Y or Z, where t is the gate's angle number `angle`."""

    axis: int
    angle: int
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Apply:
    """2x2 factors, the first applied first, on the qubit at `place`, under a control if there is one.

    A factor is a rotation or the rows of a fixed matrix.
    """

    place: int
    factors: tuple[Rotation | Rows, ...]
    control: int | None = None


Move: TypeAlias = Relabel | Apply


@dataclass(frozen=True, slots=True)
class Part:
    """One gate of a definition: its name, its places, and its angles: numbers, or "angle k" as `Own(k)`."""

    name: str
    places: tuple[int, ...]
    angles: tuple[float | Own, ...] = ()


@dataclass(frozen=True, slots=True)
class Own:
    """The angle number `index` of the gate that is being defined."""

    index: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """A gate as another framework has it.

    `order` says which of our angles each of theirs is; empty where the order is the same.
    `label` distinguishes two of our gates that are one there; with `adjoint` it is the inverse of `name`.
    """

    name: str
    order: tuple[int, ...] = ()
    label: str | None = None
    adjoint: bool = False

    def angles(self, ours: Sequence[Item]) -> tuple[Item, ...]:
        """Our angles in their order."""
        return tuple(ours[index] for index in self.order) if self.order else tuple(ours)

    def own_angles(self, theirs: Sequence[Item]) -> tuple[Item, ...]:
        """Their angles in our order."""
        if not self.order:
            return tuple(theirs)
        return tuple(theirs[self.order.index(index)] for index in range(len(self.order)))


@dataclass(frozen=True, slots=True, eq=False)
class GateType:
    """Everything about a gate; one row of the gate table.

    Parameters
    ----------
    name, n_qubits, angles:
        The angles are named in the order of `matrix`; a control is the first qubit.
    matrix:
        The unitary's rows from the angles in radians, the first qubit the most significant.
    lowering:
        The steps that the engine runs; equal to `matrix` up to the global phase `phase`.
    qiskit, pennylane, qasm:
        The gate in Qiskit (a method of `QuantumCircuit`), PennyLane and OpenQASM 3.
    symbol, marks:
        How it is drawn: the text of its boxes, and a sign for each qubit, "" for a box;
        by default a dot on a control and boxes elsewhere.
    is_real:
        Whether the matrix has no imaginary part.
    controlled:
        Whether the first qubit is a control.
    inverse:
        The gate that undoes it; None for gates with angles.
    n_frequencies:
        How many frequencies expectations have in its angle: 1 allows the two-term shift rule,
        2 (controlled rotations) needs the four-term rule.
    definition:
        The gate in terms of others, for OpenQASM programs, where stdgates.inc lacks it.
    phase:
        matrix = exp(i phase(angles)) times the lowering, where that is not 0.
    """

    name: str
    n_qubits: int
    angles: tuple[str, ...]
    matrix: Callable[..., Rows]
    lowering: tuple[Move, ...]
    qiskit: Foreign
    pennylane: Foreign
    qasm: Foreign
    symbol: str
    marks: tuple[str, ...] = ()
    is_real: bool = False
    controlled: bool = False
    inverse: str | None = None
    n_frequencies: int = 1
    definition: tuple[Part, ...] = ()
    phase: Callable[..., Any] | None = None

    def __reduce__(self) -> Any:
        # Copies and unpickled gates refer to the one row, so that types can be compared by identity.
        from hybridqies.circuit.gates import gate_type

        return gate_type, (self.name,)

    def __repr__(self) -> str:
        return f"GateType({self.name})"
