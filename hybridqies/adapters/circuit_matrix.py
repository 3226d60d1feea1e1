"""A circuit as a linear map on rows of numbers, real or complex, with gradients in its weights."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from hybridqies.adapters.contraction import Contraction, Place
from hybridqies.adapters.gate_groups import group_gates
from hybridqies.adapters.gate_matrices import gate_matrices, place_matrix
from hybridqies.circuit import Circuit, Constant, Feature, GateType, Weight
from hybridqies.circuit.angles import size, terms

_MOST_KEPT = 512
"""The largest size whose U(0)^-1 is kept as a matrix: 2 MiB of float64."""


class CircuitMatrix:
    """The orthogonal map V = U(weights) U(0)^-1 of a circuit with all features 0; it is 1 at the start.

    A real circuit on n qubits acts on 2^n numbers. A complex one acts on 2^(n+1):
    the first half are the real parts of its amplitudes, the second half the imaginary ones.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.size = block_size(circuit)
        axes = (2,) * circuit.n_qubits
        self._groups = group_gates(circuit.gates)
        places = [Place(each.qubits, (2,) * len(each.qubits)) for each in self._groups]
        self._forward = Contraction(axes, places)
        self._alike: dict[Any, list[int]] = defaultdict(list)
        for at, group in enumerate(self._groups):
            kinds = [(circuit.gates[number].type, place) for number, place in group.members]
            self._alike[len(group.qubits), *kinds].append(at)
        self._by_type: dict[GateType, list[int]] = defaultdict(list)
        for at, each in enumerate(circuit.gates):
            self._by_type[each.type].append(at)
        self._affine = {kind: self._angles(kind) for kind in self._by_type}
        start = self._matrices(torch.zeros(circuit.n_weights, dtype=torch.float64))
        # Backwards, the last one first: the groups that are not 1 where all weights are 0.
        self._left = [at for at, matrix in enumerate(start) if not _is_one(matrix)][::-1]
        self._backward = Contraction(axes, [places[at] for at in self._left])
        self._undo: Tensor | None = None
        if self._left and self.size <= _MOST_KEPT:
            eye = torch.eye(2**circuit.n_qubits, dtype=start[0].dtype)
            self._undo = self._backward.apply(eye, [start[at].mH for at in self._left])

    def apply(self, rows: Tensor, weights: Tensor) -> Tensor:
        """Rows (B, size) as V times each, in the type of the weights (n_weights,)."""
        if len(rows) > self.size:
            return rows @ self.transposed(weights)
        return self._apply(rows, weights)

    def transposed(self, weights: Tensor) -> Tensor:
        """V transposed, as a matrix (size, size)."""
        return self._apply(torch.eye(self.size, dtype=weights.dtype, device=weights.device), weights)

    def _apply(self, rows: Tensor, weights: Tensor) -> Tensor:
        if self.circuit.is_real:
            return self._run(rows, weights)
        real, imaginary = rows.chunk(2, dim=1)
        amplitudes = self._run(torch.complex(real, imaginary), weights)
        return torch.cat([amplitudes.real, amplitudes.imag], dim=1)

    def _run(self, rows: Tensor, weights: Tensor) -> Tensor:
        if self._undo is not None:
            rows = rows @ self._undo.to(rows)
        elif self._left:
            start = self._matrices(torch.zeros_like(weights))
            rows = self._backward.apply(rows, [start[at].mH for at in self._left])
        return self._forward.apply(rows, self._matrices(weights))

    def _matrices(self, weights: Tensor) -> list[Tensor]:
        """The matrix of every group; those of one build are made together."""
        gates = self._gate_matrices(weights)
        found: dict[int, Tensor] = {}
        for (n_qubits, *kinds), alike in self._alike.items():
            product = None
            for turn, (_, place) in enumerate(kinds):
                matrix = torch.stack([gates[self._groups[at].members[turn][0]] for at in alike])
                if place is not None and n_qubits == 2:
                    matrix = place_matrix(matrix, place, None, n_qubits)
                product = matrix if product is None else matrix @ product
            assert product is not None
            found.update(zip(alike, product.unbind(0), strict=True))
        return [found[at] for at in range(len(found))]

    def _gate_matrices(self, weights: Tensor) -> list[Tensor]:
        """The matrix of every gate; those of one type are made together."""
        real = self.circuit.is_real
        dtype = weights.dtype if real else torch.promote_types(weights.dtype, torch.complex64)
        found: dict[int, Tensor] = {}
        for kind, (slopes, offsets) in self._affine.items():
            angles = slopes.to(weights) @ weights + offsets.to(weights)
            made = gate_matrices(kind, angles.reshape(len(self._by_type[kind]), len(kind.angles)), dtype)
            found.update(zip(self._by_type[kind], made.unbind(0), strict=True))
        return [found[at] for at in range(len(found))]

    def _angles(self, kind: GateType) -> tuple[Tensor, Tensor]:
        """Every angle of the gates of a type, one after the other, as slopes in the weights and an offset."""
        angles = [angle for at in self._by_type[kind] for angle in self.circuit.gates[at].angles]
        slopes = torch.zeros(len(angles), self.circuit.n_weights, dtype=torch.float64)
        offsets = torch.zeros(len(angles), dtype=torch.float64)
        for row, angle in enumerate(angles):
            for term in terms(angle):
                if isinstance(term, Weight):
                    slopes[row, term.index] += size(term)
                elif isinstance(term, Constant):
                    offsets[row] += size(term)
                else:
                    assert isinstance(term, Feature)  # which is 0
        return slopes, offsets


def block_size(circuit: Circuit) -> int:
    """How many numbers a circuit acts on: 2^n, or 2^(n+1) where its amplitudes are complex."""
    return (1 if circuit.is_real else 2) << circuit.n_qubits


def _is_one(matrix: Tensor) -> bool:
    return torch.equal(matrix, torch.eye(len(matrix), dtype=matrix.dtype))
