"""A circuit with a free angle at every gate, and the map from features and weights to those angles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hybridqies.circuit import Angle, Circuit, Feature, Weight, evaluate
from hybridqies.circuit.angles import is_constant, uses


@dataclass(frozen=True, slots=True)
class FreeCircuit:
    """A circuit without features. Its weight p is the angle in slot p; `angles[p]` says how to compute it.

    `frequencies[p]` is the number of frequencies that expectations have in that angle; it decides the
    shift rule.
    """

    circuit: Circuit
    angles: tuple[Angle, ...]
    frequencies: tuple[int, ...]

    @classmethod
    def of(cls, circuit: Circuit) -> FreeCircuit:
        """`circuit` with a weight of its own for every angle that is not constant."""
        slots: list[Angle] = []
        frequencies: list[int] = []

        def freed(angle: Angle, n_frequencies: int) -> Angle:
            if is_constant(angle):
                return angle
            slots.append(angle)
            frequencies.append(n_frequencies)
            return Weight(len(slots) - 1)

        gates = tuple(
            replace(each, angles=tuple(freed(angle, each.type.n_frequencies) for angle in each.angles))
            for each in circuit.gates
        )
        free = replace(circuit, gates=gates, n_features=0, n_weights=len(slots))
        return cls(free, tuple(slots), tuple(frequencies))

    def values(self, features: Tensor, weights: Tensor) -> Tensor:
        """The angles (B, P), in radians, of features (B, F) and weights (W,) or (B, W); differentiable."""
        weights = weights.expand(len(features), -1)
        columns = [
            evaluate(angle, lambda i: features[:, i], lambda i: weights[:, i]) for angle in self.angles
        ]
        return torch.stack(columns, dim=1) if columns else features.new_zeros(len(features), 0)

    def slots_of(self, *, features: bool, weights: bool) -> list[int]:
        """The slots whose angles depend on features, on weights, or on either."""
        return [
            at
            for at, angle in enumerate(self.angles)
            if (features and uses(angle, Feature)) or (weights and uses(angle, Weight))
        ]
