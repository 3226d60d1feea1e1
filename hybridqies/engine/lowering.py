"""Circuits as rotations and fixed 2x2 matrices on pairs of amplitudes, from each gate's row.

A gate's `lowering` is a sequence of relabellings and of 2x2 matrices, some of them under a control.
RXX, RYY and RZZ need no 4x4 matrix: between two CNOTs, which are labels, they are RX and RZ.
Global phases, which no expectation sees, are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hybridqies.circuit import Angle, Circuit, Constant, Feature, Gate, Weight
from hybridqies.circuit.angles import scaled, terms
from hybridqies.circuit.gate_type import Apply, Relabel, Rotation, Rows, X, Y, Z
from hybridqies.engine.basis_map import BasisMap

Matrix = npt.NDArray[np.complex128]

PAULIS: tuple[Matrix, ...] = (
    np.array([[0, 1], [1, 0]], dtype=complex),
    np.array([[0, -1j], [1j, 0]], dtype=complex),
    np.array([[1, 0], [0, -1]], dtype=complex),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """exp(-i sign angle/2 P) about the Pauli axis P: X, Y or Z."""

    axis: int
    angle: Feature | Weight
    sign: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """A constant 2x2 matrix."""

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


def lower(circuit: Circuit) -> tuple[list[Step], BasisMap]:
    """The steps of a circuit, and the labels that its observables are read with."""
    basis_map = BasisMap(circuit.n_qubits)
    return list(_steps(circuit, basis_map)), basis_map


def _steps(circuit: Circuit, basis_map: BasisMap) -> Iterator[Step]:
    for gate in circuit.gates:
        for move in gate.type.lowering:
            if isinstance(move, Relabel):
                basis_map.relabel(move.kind, tuple(gate.qubits[place] for place in move.places))
            else:
                yield _place(move, gate, basis_map)


def _place(move: Apply, gate: Gate, basis_map: BasisMap) -> Step:
    """The step of a move on the gate's qubits, as they are labelled now."""
    qubit = gate.qubits[move.place]
    factors = [made for factor in move.factors for made in _factors(factor, gate.angles)]
    # An inverted label swaps 0 and 1 of the qubit; factors between two X gates swap them back.
    if basis_map.constants[qubit]:
        factors = [_between_x(factor) for factor in factors]
    control = None
    if move.control is not None:
        by = gate.qubits[move.control]
        control = (basis_map.masks[by], 1 ^ basis_map.constants[by])
    return Step(basis_map.flips[qubit], basis_map.masks[qubit], control, tuple(factors))


def _factors(factor: Rotation | Rows, angles: Sequence[Angle]) -> Iterator[Factor]:
    """The matrix itself, or a rotation for each term of the angle."""
    if not isinstance(factor, Rotation):
        yield Fixed(np.array(factor, dtype=complex))
        return
    for term in terms(scaled(angles[factor.angle], factor.scale)):
        if isinstance(term, Constant):
            cos, sin = math.cos(term.value / 2), math.sin(term.value / 2)
            yield Fixed(cos * np.eye(2) - 1j * sin * PAULIS[factor.axis])
        else:
            yield Turn(factor.axis, term)


def _between_x(factor: Factor) -> Factor:
    if isinstance(factor, Fixed):
        return Fixed(factor.matrix[::-1, ::-1])
    return factor if factor.axis == X else Turn(factor.axis, factor.angle, -factor.sign)
