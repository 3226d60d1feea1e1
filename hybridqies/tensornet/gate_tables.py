"""Angles and matrices of all gates of a circuit at once, for a batch, differentiable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridqies.circuit import Angle, Constant, Feature, Gate, Weight
from hybridqies.circuit.angles import size, terms
from hybridqies.circuit.gate_type import Apply, Rotation, Rows
from hybridqies.circuit.matrices import PAULI_X, PAULI_Y, PAULI_Z

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from hybridqies.circuit.angles import Term

_PAULIS = (PAULI_X, PAULI_Y, PAULI_Z)
_ONE = ((1, 0), (0, 1))


@dataclass(frozen=True, eq=False, slots=True)
class AngleTable:
    """Angles as sums of scaled products of columns: features, then weights, then ones.

    `columns` (T, K) are the factors of each term, `scales` (T,) its scale, `owners` (T,) its angle.
    """

    columns: Tensor
    scales: Tensor
    owners: Tensor
    count: int

    @classmethod
    def of(cls, angles: Sequence[Angle], n_features: int, n_weights: int) -> AngleTable:
        """The table of the angles of a circuit with so many features and weights."""
        import torch

        one = n_features + n_weights
        rows = [(at, term) for at, angle in enumerate(angles) for term in terms(angle)]
        factors = [_columns(term, n_features) for _, term in rows]
        width = max((len(each) for each in factors), default=0)
        padded = [each + [one] * (width - len(each)) for each in factors]
        return cls(
            torch.tensor(padded, dtype=torch.int64).reshape(len(rows), width),
            torch.tensor([size(term) for _, term in rows], dtype=torch.float64),
            torch.tensor([at for at, _ in rows], dtype=torch.int64),
            len(angles),
        )

    def evaluate(self, features: Tensor, weights: Tensor) -> Tensor:
        """The angles in radians, (A, B), for features (B, F) and weights (B, W)."""
        import torch

        ones = features.new_ones(len(features), 1)
        given = torch.cat([features, weights, ones], dim=1).mT
        values = self.scales.to(given)[:, None].expand(-1, given.shape[1])
        for column in self.columns.to(given.device).unbind(dim=1):
            values = values * given[column]
        whole = given.new_zeros(self.count, given.shape[1])
        return whole.index_add(0, self.owners.to(given.device), values)


def _columns(term: Term, n_features: int) -> list[int]:
    match term:
        case Constant():
            return []
        case Weight(index):
            return [n_features + index]
        case Feature(indices):
            return list(indices)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A rotation about an axis, by `scale` times an angle of each member of a group."""

    axis: int
    scale: float
    angles: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class TurnTable:
    """Products of one-qubit gates, in groups of equal sequences: those of `places` have these factors."""

    groups: tuple[tuple[tuple[int, ...], tuple[_Turn | Rows, ...]], ...]
    angles: AngleTable
    count: int

    @classmethod
    def of(cls, sequences: Sequence[Sequence[Gate]], n_features: int, n_weights: int) -> TurnTable:
        """The table of sequences of gates, in each the first applied first."""
        members: dict[tuple[str, ...], list[int]] = {}
        for at, sequence in enumerate(sequences):
            members.setdefault(tuple(each.type.name for each in sequence), []).append(at)
        angles: list[Angle] = []
        groups = []
        for places in members.values():
            factors: list[_Turn | Rows] = []
            for position, each in enumerate(sequences[places[0]]):
                alike = [sequences[place][position] for place in places]
                factors += _factors(each, alike, angles)
            groups.append((tuple(places), tuple(factors)))
        return cls(tuple(groups), AngleTable.of(angles, n_features, n_weights), len(sequences))

    def evaluate(self, features: Tensor, weights: Tensor) -> Tensor:
        """The matrices up to a phase, (N, B, 2, 2), for features (B, F) and weights (B, W)."""
        import torch

        half = 0.5 * self.angles.evaluate(features, weights)
        dtype = features.dtype.to_complex()
        pieces = [torch.zeros(0, len(features), 2, 2, dtype=dtype, device=half.device)]
        order, done = [-1] * self.count, 0
        for places, factors in self.groups:
            product = half.new_tensor(_ONE).to(dtype).expand(len(places), len(features), 2, 2)
            for factor in factors:
                product = _matrix(factor, half, dtype) @ product
            pieces.append(product)
            for place in places:
                order[place], done = done, done + 1
        return torch.cat(pieces)[torch.tensor(order, dtype=torch.int64, device=half.device)]


def _factors(each: Gate, alike: Iterable[Gate], angles: list[Angle]) -> list[_Turn | Rows]:
    """The factors of a gate, which other gates are alike; their angles are added to `angles`."""
    found: list[_Turn | Rows] = []
    for move in each.type.lowering:
        for factor in move.factors if isinstance(move, Apply) else (PAULI_X,):
            if isinstance(factor, Rotation):
                own = [other.angles[factor.angle] for other in alike]
                first = len(angles)
                angles += own
                found.append(_Turn(factor.axis, factor.scale, tuple(range(first, len(angles)))))
            else:
                found.append(factor)
    return found


def _matrix(factor: _Turn | Rows, half: Tensor, dtype: torch.dtype) -> Tensor:
    import torch

    if not isinstance(factor, _Turn):
        return torch.tensor(factor, dtype=dtype, device=half.device)
    turn = factor.scale * half[list(factor.angles)][..., None, None]
    rows = (_ONE, _PAULIS[factor.axis])
    one, pauli = (torch.tensor(each, dtype=dtype, device=half.device) for each in rows)
    return turn.cos() * one - 1j * turn.sin() * pauli


def ising_phases(angles: Tensor) -> Tensor:
    """The diagonals of RZZ as tables over both qubits, (…, 2, 2), for angles (…)."""
    import torch

    half = 0.5j * angles
    same, other = (-half).exp(), half.exp()
    table: Tensor = torch.stack([same, other, other, same], dim=-1).unflatten(-1, (2, 2))
    return table
