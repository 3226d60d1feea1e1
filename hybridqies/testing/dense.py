"""The dense reference: a circuit as full matrices in double precision; slow, simple and differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from hybridqies.circuit import Angle, Circuit, Constant, Feature, PauliString, Sum, Weight

_COMPLEX = torch.complex128


def expectations(
    circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
) -> Tensor:
    """The expectation of every observable, (B, M) in float64; torch differentiates it in all inputs.

    Shapes: features (B, F) in radians, weights (W,) or (B, W) in radians, amplitudes (B, 2**n) of any norm.
    """
    rows = weights.double().expand(len(features), -1)
    samples = [
        _of_sample(circuit, features[b].double(), rows[b], None if amplitudes is None else amplitudes[b])
        for b in range(len(features))
    ]
    return torch.stack(samples) if samples else features.new_zeros(0, len(circuit.observables)).double()


def standard_errors(values: Tensor, shots: int) -> Tensor:
    """Those of the means of `shots` outcomes +1 or -1 whose expectations are `values`."""
    return ((1 - values**2).clamp(min=0) / shots).sqrt()


def _of_sample(circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
    if amplitudes is None:
        state = torch.eye(1 << circuit.n_qubits, dtype=_COMPLEX)[0]
    else:
        state = amplitudes.to(_COMPLEX)
        state = state / torch.linalg.vector_norm(state)
    for each in circuit.gates:
        angles = [_value(angle, features, weights) for angle in each.angles]
        state = _placed(MATRICES[each.type.name](*angles), each.qubits, circuit.n_qubits) @ state
    columns = [_observable(each, circuit.n_qubits) @ state for each in circuit.observables]
    return torch.stack([torch.vdot(state, column).real for column in columns])


def _value(angle: Angle, features: Tensor, weights: Tensor) -> Tensor:
    match angle:
        case Sum(terms):
            return torch.stack([_value(term, features, weights) for term in terms]).sum()
        case Constant(value):
            return torch.tensor(value, dtype=torch.float64)
        case Weight(index, scale):
            return scale * weights[index]
        case Feature(indices, scale):
            return scale * math.prod((features[i] for i in indices[1:]), start=features[indices[0]])
    raise TypeError(f"{angle!r} is no angle")


def _fixed(rows: list[list[complex]]) -> Tensor:
    return torch.tensor(rows, dtype=_COMPLEX)


_PAULIS = {
    "I": _fixed([[1, 0], [0, 1]]),
    "X": _fixed([[0, 1], [1, 0]]),
    "Y": _fixed([[0, -1j], [1j, 0]]),
    "Z": _fixed([[1, 0], [0, -1]]),
}
_H = (_PAULIS["X"] + _PAULIS["Z"]) / math.sqrt(2)
_S = _fixed([[1, 0], [0, 1j]])
_T = _fixed([[1, 0], [0, complex(1, 1) / math.sqrt(2)]])
_SX = _fixed([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2


def _rot(phi: Tensor, theta: Tensor, omega: Tensor) -> Tensor:
    return _rotation("Z", omega) @ _rotation("Y", theta) @ _rotation("Z", phi)


def _adjoint(matrix: Tensor) -> Tensor:
    adjoint: Tensor = matrix.mH.contiguous()
    return adjoint


def _controlled(matrix: Tensor) -> Tensor:
    whole: Tensor = torch.block_diag(_PAULIS["I"], matrix)
    return whole


# One row per gate. Written independently of the gate table, which it is there to check.
MATRICES: dict[str, Callable[..., Tensor]] = {
    "H": lambda: _H,
    "X": lambda: _PAULIS["X"],
    "Y": lambda: _PAULIS["Y"],
    "Z": lambda: _PAULIS["Z"],
    "S": lambda: _S,
    "SDG": lambda: _adjoint(_S),
    "T": lambda: _T,
    "TDG": lambda: _adjoint(_T),
    "SX": lambda: _SX,
    "SXDG": lambda: _adjoint(_SX),
    "RX": lambda theta: _rotation("X", theta),
    "RY": lambda theta: _rotation("Y", theta),
    "RZ": lambda theta: _rotation("Z", theta),
    "P": lambda phi: _phased(phi / 2, _rotation("Z", phi)),
    "ROT": _rot,
    "U": lambda theta, phi, lamda: _phased((phi + lamda) / 2, _rot(lamda, theta, phi)),
    "CNOT": lambda: _controlled(_PAULIS["X"]),
    "CY": lambda: _controlled(_PAULIS["Y"]),
    "CZ": lambda: _controlled(_PAULIS["Z"]),
    "SWAP": lambda: _fixed([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
    "CRX": lambda theta: _controlled(_rotation("X", theta)),
    "CRY": lambda theta: _controlled(_rotation("Y", theta)),
    "CRZ": lambda theta: _controlled(_rotation("Z", theta)),
    "RXX": lambda theta: _rotation("XX", theta),
    "RYY": lambda theta: _rotation("YY", theta),
    "RZZ": lambda theta: _rotation("ZZ", theta),
}


def _phased(angle: Tensor, matrix: Tensor) -> Tensor:
    phased: Tensor = torch.exp(1j * angle) * matrix
    return phased


def _rotation(letters: str, angle: Tensor) -> Tensor:
    """exp(-i angle P / 2) for the Pauli string P."""
    pauli = _kron([_PAULIS[letter] for letter in letters])
    eye = torch.eye(len(pauli), dtype=_COMPLEX)
    return torch.cos(angle / 2) * eye - 1j * torch.sin(angle / 2) * pauli


def _kron(factors: list[Tensor]) -> Tensor:
    return reduce(torch.kron, factors)


def _placed(matrix: Tensor, qubits: tuple[int, ...], n_qubits: int) -> Tensor:
    """A gate's matrix as 2**n x 2**n, identity on the other qubits."""
    others = [qubit for qubit in range(n_qubits) if qubit not in qubits]
    whole = torch.kron(matrix, torch.eye(1 << len(others), dtype=_COMPLEX))
    order = [[*qubits, *others].index(qubit) for qubit in range(n_qubits)]
    axes = [*order, *(n_qubits + at for at in order)]
    return whole.reshape((2,) * (2 * n_qubits)).permute(axes).reshape(whole.shape)


def _observable(string: PauliString, n_qubits: int) -> Tensor:
    return _kron([_PAULIS[letter] for letter in string.letters(n_qubits)])
