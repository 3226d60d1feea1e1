"""Matrices of gates as functions of angles that torch differentiates, from the lowering in the gate table."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridqies.circuit import GateType
from hybridqies.circuit.gate_type import Apply, Move, Relabel, Relabelling, Rotation, Rows
from hybridqies.circuit.matrices import I2, PAULI_X, PAULI_Y, PAULI_Z, SWAP

_PAULIS = (PAULI_X, PAULI_Y, PAULI_Z)


def gate_matrices(kind: GateType, angles: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrices (G, 2^k, 2^k) of G gates of one type from their angles (G, A), in a real or complex type.

    A real type is for gates whose table row says that they are real.
    """
    matrix = torch.eye(2**kind.n_qubits, dtype=dtype, device=angles.device).expand(len(angles), -1, -1)
    for move in kind.lowering:
        matrix = _move(move, kind.n_qubits, angles, dtype) @ matrix
    if kind.phase is not None:
        phase = torch.as_tensor(kind.phase(*angles.unbind(1)), dtype=angles.dtype, device=angles.device)
        matrix = torch.exp(1j * phase).reshape(-1, 1, 1) * matrix
    return matrix.to(dtype)


def _move(move: Move, n_qubits: int, angles: Tensor, dtype: torch.dtype) -> Tensor:
    if isinstance(move, Apply):
        product = _rows(I2, angles, dtype)
        for factor in move.factors:
            product = _factor(factor, angles, dtype) @ product
        return place_matrix(product, move.place, move.control, n_qubits)
    return _relabel(move, n_qubits, angles, dtype)


def _relabel(move: Relabel, n_qubits: int, angles: Tensor, dtype: torch.dtype) -> Tensor:
    if move.kind is Relabelling.SWAP:
        return _rows(SWAP, angles, dtype)
    flip = _rows(PAULI_X, angles, dtype)
    if move.kind is Relabelling.FLIP:
        return place_matrix(flip, move.places[0], None, n_qubits)
    return place_matrix(flip, move.places[1], move.places[0], n_qubits)


def _factor(factor: Rotation | Rows, angles: Tensor, dtype: torch.dtype) -> Tensor:
    if not isinstance(factor, Rotation):
        return _rows(factor, angles, dtype)
    half = angles[:, factor.angle].reshape(-1, 1, 1) * (factor.scale / 2)
    # -i times a Pauli matrix; that of Y is real.
    generator = tuple(tuple(-1j * entry for entry in row) for row in _PAULIS[factor.axis])
    return half.cos() * _rows(I2, angles, dtype) + half.sin() * _rows(generator, angles, dtype)


def place_matrix(matrix: Tensor, place: int, control: int | None, n_qubits: int) -> Tensor:
    """One-qubit matrices (G, 2, 2) at a place among one or two qubits, the first the most significant.

    With a control, they act where that other qubit is 1.
    """
    if n_qubits == 1:
        return matrix
    eye = torch.eye(2, dtype=matrix.dtype, device=matrix.device)
    if control is None:
        return torch.kron(matrix, eye) if place == 0 else torch.kron(eye, matrix)
    off, on = torch.diag(eye[0]), torch.diag(eye[1])
    if place == 1:
        return torch.kron(off, eye) + torch.kron(on, matrix)
    return torch.kron(eye, off) + torch.kron(matrix, on)


def _rows(rows: Rows, angles: Tensor, dtype: torch.dtype) -> Tensor:
    whole = torch.tensor(rows, dtype=torch.complex128, device=angles.device)
    return whole.to(dtype) if dtype.is_complex else whole.real.to(dtype)
