"""Gates taken apart into rotations and fixed 2x2 matrices on pairs of amplitudes.

Every gate of the set is a sequence of relabellings and of 2x2 matrices, some of
them under a control. RXX, RYY and RZZ need no 4x4 matrix: between two CNOTs,
which are labels, they are RX and RZ. Global phases, which no expectation sees, are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hybridqies.circuit import Angle, Circuit, Constant, Gate
from hybridqies.engine.frame import Frame

X, Y, Z = 0, 1, 2
Matrix = npt.NDArray[np.complex128]

PAULIS: tuple[Matrix, ...] = (
    np.array([[0, 1], [1, 0]], dtype=complex),
    np.array([[0, -1j], [1j, 0]], dtype=complex),
    np.array([[1, 0], [0, -1]], dtype=complex),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """exp(-i sign angle/2 P) about the Pauli axis P: X, Y or Z; the angle is a feature's or a weight's."""

    axis: int
    angle: Angle
    sign: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """A 2x2 matrix that depends on nothing."""

    matrix: Matrix


Factor: TypeAlias = Turn | Fixed


@dataclass(frozen=True, slots=True)
class Step:
    """2x2 factors, the first applied first, on all pairs of amplitudes p and p ^ flip.

    The one with parity(mask & p) = 0 stands first. With a control (mask, value), only
    pairs whose parity(mask & p) is the value take part.
    """

    flip: int
    mask: int
    control: tuple[int, int] | None
    factors: tuple[Factor, ...]

    @property
    def is_diagonal(self) -> bool:
        """Whether no amplitude moves."""
        return all(_is_diagonal(factor) for factor in self.factors)

    @property
    def is_real(self) -> bool:
        """Whether real amplitudes stay real."""
        return all(
            factor.axis == Y if isinstance(factor, Turn) else not factor.matrix.imag.any()
            for factor in self.factors
        )


def _is_diagonal(factor: Factor) -> bool:
    if isinstance(factor, Turn):
        return factor.axis == Z
    return not (factor.matrix[0, 1] or factor.matrix[1, 0])


@dataclass(frozen=True, slots=True)
class _Relabel:
    name: str
    qubits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Act:
    qubit: int
    factors: tuple[Factor, ...]
    control: int | None = None


_Move: TypeAlias = _Relabel | _Act
_Lowering: TypeAlias = Callable[[Gate], tuple[_Move, ...]]

_ROOT_HALF = math.sqrt(0.5)
_EIGHTH = complex(_ROOT_HALF, _ROOT_HALF)
_H = ((_ROOT_HALF, _ROOT_HALF), (_ROOT_HALF, -_ROOT_HALF))
_S, _SDG = ((1, 0), (0, 1j)), ((1, 0), (0, -1j))
_SX = ((0.5 + 0.5j, 0.5 - 0.5j), (0.5 - 0.5j, 0.5 + 0.5j))
_SXDG = ((0.5 - 0.5j, 0.5 + 0.5j), (0.5 + 0.5j, 0.5 - 0.5j))
# Y without its global phase i, so that it stays real.
_REAL_Y = ((0, -1), (1, 0))


def _matrix(rows: tuple[tuple[complex, ...], ...]) -> Fixed:
    return Fixed(np.array(rows, dtype=complex))


def _fixed(rows: tuple[tuple[complex, ...], ...]) -> _Lowering:
    return lambda gate: (_Act(gate.qubits[0], (_matrix(rows),)),)


def _turns(*axes: tuple[int, int]) -> _Lowering:
    """Rotations about `axes`: pairs of an axis and which of the gate's angles it takes."""
    return lambda gate: (_Act(gate.qubits[0], tuple(_turn(axis, gate.angles[a]) for axis, a in axes)),)


def _turn(axis: int, angle: Angle) -> Factor:
    if not isinstance(angle, Constant):
        return Turn(axis, angle)
    cos, sin = math.cos(angle.value / 2), math.sin(angle.value / 2)
    return Fixed(cos * np.eye(2) - 1j * sin * PAULIS[axis])


def _relabel(gate: Gate) -> tuple[_Move, ...]:
    return (_Relabel(gate.type.name, gate.qubits),)


def _controlled_fixed(rows: tuple[tuple[complex, ...], ...]) -> _Lowering:
    return lambda gate: (_Act(gate.qubits[1], (_matrix(rows),), control=gate.qubits[0]),)


def _controlled_turn(axis: int) -> _Lowering:
    return lambda gate: (_Act(gate.qubits[1], (_turn(axis, gate.angles[0]),), control=gate.qubits[0]),)


def _rxx(gate: Gate) -> tuple[_Move, ...]:
    cnot = _Relabel("CNOT", gate.qubits)
    return (cnot, _Act(gate.qubits[0], (_turn(X, gate.angles[0]),)), cnot)


def _ryy(gate: Gate) -> tuple[_Move, ...]:
    # S turns X into Y.
    before = tuple(_Act(qubit, (_matrix(_SDG),)) for qubit in gate.qubits)
    after = tuple(_Act(qubit, (_matrix(_S),)) for qubit in gate.qubits)
    return (*before, *_rxx(gate), *after)


def _rzz(gate: Gate) -> tuple[_Move, ...]:
    cnot = _Relabel("CNOT", gate.qubits)
    return (cnot, _Act(gate.qubits[1], (_turn(Z, gate.angles[0]),)), cnot)


LOWERINGS: dict[str, _Lowering] = {
    "H": _fixed(_H),
    "X": _relabel,
    "Y": _fixed(_REAL_Y),
    "Z": _fixed(((1, 0), (0, -1))),
    "S": _fixed(_S),
    "SDG": _fixed(_SDG),
    "T": _fixed(((1, 0), (0, _EIGHTH))),
    "TDG": _fixed(((1, 0), (0, _EIGHTH.conjugate()))),
    "SX": _fixed(_SX),
    "SXDG": _fixed(_SXDG),
    "RX": _turns((X, 0)),
    "RY": _turns((Y, 0)),
    "RZ": _turns((Z, 0)),
    "P": _turns((Z, 0)),
    "ROT": _turns((Z, 0), (Y, 1), (Z, 2)),
    "U": _turns((Z, 2), (Y, 0), (Z, 1)),
    "CNOT": _relabel,
    "CY": _controlled_fixed(((0, -1j), (1j, 0))),
    "CZ": _controlled_fixed(((1, 0), (0, -1))),
    "SWAP": _relabel,
    "CRX": _controlled_turn(X),
    "CRY": _controlled_turn(Y),
    "CRZ": _controlled_turn(Z),
    "RXX": _rxx,
    "RYY": _ryy,
    "RZZ": _rzz,
}


def lower(circuit: Circuit) -> tuple[list[Step], Frame]:
    """The steps of a circuit, and the labels that its observables are read with."""
    frame = Frame(circuit.n_qubits)
    return list(_steps(circuit, frame)), frame


def _steps(circuit: Circuit, frame: Frame) -> Iterator[Step]:
    for gate in circuit.gates:
        for move in LOWERINGS[gate.type.name](gate):
            if isinstance(move, _Relabel):
                frame.relabel(move.name, move.qubits)
            else:
                yield _placed(move, frame)


def _placed(act: _Act, frame: Frame) -> Step:
    # Where the label of the qubit is inverted, the factors are, too: then 0 stands first again.
    inverted = bool(frame.constants[act.qubit])
    factors = tuple(_between_x(factor) for factor in act.factors) if inverted else act.factors
    control = None
    if act.control is not None:
        control = (frame.masks[act.control], 1 ^ frame.constants[act.control])
    return Step(frame.flips[act.qubit], frame.masks[act.qubit], control, factors)


def _between_x(factor: Factor) -> Factor:
    if isinstance(factor, Fixed):
        return Fixed(factor.matrix[::-1, ::-1])
    return factor if factor.axis == X else Turn(factor.axis, factor.angle, -factor.sign)
