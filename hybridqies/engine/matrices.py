"""Gate matrices as differentiable functions of their angles: one row a gate, whole batches at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

MatrixFunction = Callable[[Tensor], Tensor]

_ROOT_HALF = math.sqrt(0.5)


def _stack(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _phase(angle: Tensor) -> Tensor:
    return torch.complex(angle.cos(), angle.sin())


def _rx(angles: Tensor) -> Tensor:
    half = angles[..., 0] / 2
    cos, zero = half.cos(), torch.zeros_like(half)
    minus_i_sin = torch.complex(zero, -half.sin())
    return _stack([[cos.to(minus_i_sin.dtype), minus_i_sin], [minus_i_sin, cos.to(minus_i_sin.dtype)]])


def _ry(angles: Tensor) -> Tensor:
    half = angles[..., 0] / 2
    cos, sin = half.cos(), half.sin()
    return _stack([[cos, -sin], [sin, cos]])


def _rz(angles: Tensor) -> Tensor:
    phase = _phase(angles[..., 0] / 2)
    zero = torch.zeros_like(phase)
    return _stack([[phase.conj(), zero], [zero, phase]])


def _p(angles: Tensor) -> Tensor:
    phase = _phase(angles[..., 0])
    zero = torch.zeros_like(phase)
    return _stack([[torch.ones_like(phase), zero], [zero, phase]])


def _rot(angles: Tensor) -> Tensor:
    # RZ(omega) RY(theta) RZ(phi), multiplied out.
    phi, theta, omega = angles.unbind(-1)
    cos, sin = (theta / 2).cos(), (theta / 2).sin()
    plus, minus = _phase((phi + omega) / 2), _phase((phi - omega) / 2)
    return _stack([[plus.conj() * cos, -minus * sin], [minus.conj() * sin, plus * cos]])


def _u(angles: Tensor) -> Tensor:
    theta, phi, lam = angles.unbind(-1)
    cos, sin = (theta / 2).cos(), (theta / 2).sin()
    return _stack(
        [[cos.to(_phase(phi).dtype), -_phase(lam) * sin], [_phase(phi) * sin, _phase(phi + lam) * cos]],
    )


def _pauli_rotation(pauli: list[list[complex]]) -> MatrixFunction:
    """exp(-i theta/2 P) = cos(theta/2) I - i sin(theta/2) P for a Pauli product P given as a 4x4 matrix."""

    def matrix(angles: Tensor) -> Tensor:
        half = angles[..., 0, None, None] / 2
        kind = torch.complex64 if angles.dtype == torch.float32 else torch.complex128
        generator = torch.tensor(pauli, dtype=kind, device=angles.device)
        identity = torch.eye(4, dtype=kind, device=angles.device)
        return half.cos() * identity - 1j * half.sin() * generator

    return matrix


def _fixed(rows: list[list[complex]]) -> MatrixFunction:
    def matrix(angles: Tensor) -> Tensor:
        kind = torch.complex64 if angles.dtype == torch.float32 else torch.complex128
        return torch.tensor(rows, dtype=kind, device=angles.device).expand(*angles.shape[:-1], -1, -1)

    return matrix


_X = _fixed([[0, 1], [1, 0]])
_Y = _fixed([[0, -1j], [1j, 0]])
_Z = _fixed([[1, 0], [0, -1]])
_EIGHTH = complex(_ROOT_HALF, _ROOT_HALF)

# A controlled gate's row is the matrix on its target; a two-qubit rotation's and SWAP's is 4x4.
MATRICES: dict[str, MatrixFunction] = {
    "H": _fixed([[_ROOT_HALF, _ROOT_HALF], [_ROOT_HALF, -_ROOT_HALF]]),
    "X": _X,
    "Y": _Y,
    "Z": _Z,
    "S": _fixed([[1, 0], [0, 1j]]),
    "SDG": _fixed([[1, 0], [0, -1j]]),
    "T": _fixed([[1, 0], [0, _EIGHTH]]),
    "TDG": _fixed([[1, 0], [0, _EIGHTH.conjugate()]]),
    "SX": _fixed([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]]),
    "SXDG": _fixed([[0.5 - 0.5j, 0.5 + 0.5j], [0.5 + 0.5j, 0.5 - 0.5j]]),
    "RX": _rx,
    "RY": _ry,
    "RZ": _rz,
    "P": _p,
    "ROT": _rot,
    "U": _u,
    "CNOT": _X,
    "CY": _Y,
    "CZ": _Z,
    "SWAP": _fixed([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
    "CRX": _rx,
    "CRY": _ry,
    "CRZ": _rz,
    "RXX": _pauli_rotation([[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]),
    "RYY": _pauli_rotation([[0, 0, 0, -1], [0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0]]),
    "RZZ": _pauli_rotation([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]),
}
