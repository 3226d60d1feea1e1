"""Matrices of one-qubit gates as tensors, for a batch of angles, differentiable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hybridqies.circuit import Angle, Gate, evaluate
from hybridqies.circuit.gate_type import Apply, Rotation, Rows
from hybridqies.circuit.matrices import PAULI_X, PAULI_Y, PAULI_Z

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_PAULIS = (PAULI_X, PAULI_Y, PAULI_Z)


class Angles:
    """The values of angles for a batch of features (B, F) and weights (B, W)."""

    def __init__(self, features: Tensor, weights: Tensor) -> None:
        self._features, self._weights = features, weights
        self.batch = len(features)
        self.dtype: torch.dtype = features.dtype.to_complex()
        self.device = features.device

    def value(self, angle: Angle) -> Tensor:
        """The angle in radians, (B,), or (1,) where it is a constant."""
        import torch

        given = evaluate(angle, lambda i: self._features[:, i], lambda i: self._weights[:, i])
        if isinstance(given, torch.Tensor):
            return given
        return torch.tensor([given], dtype=self._features.dtype, device=self.device)

    def constant(self, rows: Any) -> Tensor:
        """A matrix of numbers as a complex tensor."""
        import torch

        return torch.tensor(rows, dtype=self.dtype, device=self.device)

    def matrix(self, gates: Sequence[Gate]) -> Tensor:
        """The product of one-qubit gates, the first applied first, up to a phase: (B or 1, 2, 2)."""
        product = self.constant([((1, 0), (0, 1))])
        for each in gates:
            for factor in _factors(each):
                product = self._factor(factor, each) @ product
        return product

    def _factor(self, factor: Rotation | Rows, each: Gate) -> Tensor:
        if not isinstance(factor, Rotation):
            return self.constant([factor])
        half = factor.scale / 2 * self.value(each.angles[factor.angle])
        pauli = self.constant(_PAULIS[factor.axis])
        one = self.constant(((1, 0), (0, 1)))
        return half.cos()[:, None, None] * one - 1j * half.sin()[:, None, None] * pauli


def _factors(each: Gate) -> list[Rotation | Rows]:
    factors: list[Rotation | Rows] = []
    for move in each.type.lowering:
        factors += move.factors if isinstance(move, Apply) else (PAULI_X,)
    return factors


def apply_phases(angle: Tensor) -> Tensor:
    """The diagonal of RZZ as a table over both qubits: (B or 1, 2, 2)."""
    import torch

    half = 0.5j * angle
    same, other = (-half).exp(), half.exp()
    return torch.stack([same, other, other, same], dim=-1).reshape(-1, 2, 2)
