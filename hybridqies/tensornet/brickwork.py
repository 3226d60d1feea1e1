"""Brickwork circuits of real orthogonal gates on neighbouring qubits, and how their gates are optimised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridqies.circuit import Circuit, PauliString, Start, orthogonal_gates
from hybridqies.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

ANGLES_PER_GATE = 6
"""The dimension of SO(4)."""


@dataclass(frozen=True, eq=False)
class Brickwork:
    """Gates (G, 4, 4) in the order in which they are applied; gate g acts on qubits b_g and b_g + 1.

    Qubit 0 is the most significant bit of an index, as in `Circuit`.
    """

    n_qubits: int
    bonds: tuple[int, ...]
    gates: Tensor

    @classmethod
    def identity(cls, n_qubits: int, depth: int) -> Brickwork:
        """`depth` layers of identities: pairs from qubit 0 on in the first layer, from qubit 1 in the next.

        Raises
        ------
        InputError: fewer than 1 qubit or a negative depth.
        """
        import torch

        if n_qubits < 1 or depth < 0:
            raise InputError(
                f"brickwork of {n_qubits} qubits and depth {depth} was asked for",
                expected="at least 1 qubit and a depth of 0 or more",
            )
        bonds = tuple(bond for layer in range(depth) for bond in range(layer % 2, n_qubits - 1, 2))
        return cls(n_qubits, bonds, torch.eye(4, dtype=torch.float64).repeat(len(bonds), 1, 1))

    @property
    def n_angles(self) -> int:
        """Six for each gate."""
        return ANGLES_PER_GATE * len(self.bonds)

    def apply(self, columns: Tensor) -> Tensor:
        """The circuit's matrix times `columns` (2**n, C), in the type of the gates."""
        for bond, gate in zip(self.bonds, self.gates, strict=True):
            columns = _act(gate, bond, columns)
        return columns

    def undo(self, columns: Tensor) -> Tensor:
        """The transposed matrix times `columns` (2**n, C), in the type of the gates."""
        return self.transposed().apply(columns)

    def transposed(self) -> Brickwork:
        """The circuit of the transposed matrix, which is the inverse."""
        return Brickwork(self.n_qubits, self.bonds[::-1], self.gates.flip(0).mT)

    def dense(self) -> Tensor:
        """The matrix (2**n, 2**n)."""
        import torch

        return self.apply(torch.eye(2**self.n_qubits, dtype=torch.float64))

    def turned(self, angles: Tensor) -> Brickwork:
        """Each gate times the exponential of an antisymmetric matrix, of angles (G, 6): orthogonal again.

        Angles of 0 change nothing. Gradients reach the angles.
        """
        import torch

        rows, columns = torch.triu_indices(4, 4, offset=1, device=angles.device)
        half = angles.new_zeros(len(angles), 4, 4)
        half[:, rows, columns] = angles
        return Brickwork(self.n_qubits, self.bonds, self.gates @ torch.linalg.matrix_exp(half - half.mT))

    def circuit(self, name: str = "brickwork", start: Start = Start.ZERO) -> Circuit:
        """The same unitary, phase included, in gates of the table; all angles are constants.

        A gate takes two rotations of SU(2) and two CNOTs, or three where its determinant is -1.
        """
        gates = [
            part
            for bond, matrix in zip(self.bonds, self.gates, strict=True)
            for part in orthogonal_gates(matrix.numpy(), (bond, bond + 1))
        ]
        observables = [PauliString.on("Z", qubit) for qubit in range(self.n_qubits)]
        return Circuit.of(self.n_qubits, gates, observables, start=start, name=name)


def improve_gates(circuit: Brickwork, target: Tensor, source: Tensor) -> Brickwork:
    """One sweep over the gates of U that lets the product of `target` with U `source` only grow.

    Both are (2**n, C). Each gate in turn, from the last to the first, is set to the orthogonal factor of its
    environment's polar decomposition, which is the best gate for all others held fixed.
    Source: arXiv:2410.17397.
    """
    gates = circuit.gates.clone()
    above, below = target, circuit.apply(source)
    for at in range(len(gates) - 1, -1, -1):
        bond = circuit.bonds[at]
        below = _act(gates[at].T, bond, below)
        environment = _environment(bond, above, below)
        gates[at] = _best_gate(environment, gates[at])
        above = _act(gates[at].T, bond, above)
    return Brickwork(circuit.n_qubits, circuit.bonds, gates)


def _act(gate: Tensor, bond: int, columns: Tensor) -> Tensor:
    return (gate @ columns.reshape(2**bond, 4, -1)).reshape(columns.shape)


def _environment(bond: int, above: Tensor, below: Tensor) -> Tensor:
    """The matrix (4, 4) E such that <above, G below> is the sum of E times the gate G."""
    import torch

    left, right = above.reshape(2**bond, 4, -1), below.reshape(2**bond, 4, -1)
    return torch.bmm(left, right.transpose(1, 2)).sum(dim=0)


def _best_gate(environment: Tensor, held: Tensor) -> Tensor:
    import torch

    left, _, right = torch.linalg.svd(environment)
    best = left @ right
    # Rounding may make the best one worse than a gate that is as good already.
    return best if torch.sum(environment * best) > torch.sum(environment * held) else held
