"""One call of the engine on the CPU: its inputs as arrays, and how its batch is cut into tiles."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridqies.engine.plan import Plan
from hybridqies.engine.tables import Array

Lanes = tuple[None, ...]
# What all samples share is computed in one lane.
ALONE: Lanes = (None,)
# Samples per tile by element size: an AVX-512 vector has 64 bytes.
_LANES = {4: (1, 8, 16), 8: (1, 8)}
# Larger states take narrower tiles, so that memory does not grow with the width of a vector.
_WIDE_QUBITS = 18


@cache
def lanes_of(n_qubits: int, batch: int, itemsize: int) -> int:
    """How many samples a tile holds: the narrowest vector that takes the batch, or the widest there is."""
    widths = [width for width in _LANES[itemsize] if n_qubits < _WIDE_QUBITS or width <= 8]
    return next((width for width in widths if width >= batch), widths[-1])


class Call:
    """Features (B, F), weights (1 or B, W) and amplitudes (B, 2**n, planes) as arrays, cut into tiles.

    `shape` is (lanes, planes), two tuples of None whose lengths are meant (see `vectors`).
    """

    def __init__(self, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> None:
        self.plan = plan
        self.inputs = inputs_of(features, weights)
        self.features, self.weights = self.inputs
        self.batch = len(self.features)
        self.amplitudes = _planes_of(amplitudes, self.features.dtype)
        self.is_single_row = weights.dim() == 1
        self.kind_of_start = None if amplitudes is None else amplitudes.dtype
        self.lanes = lanes_of(plan.n_qubits, self.batch, self.features.itemsize)
        self.n_tiles = -(-self.batch // self.lanes)
        self.shape: tuple[Lanes, Lanes] = ((None,) * self.lanes, (None,) * (1 if plan.is_real else 2))

    def empty_states(self, n_tiles: int) -> Array:
        """Room for the states of some tiles, each flat."""
        size = (self.lanes * len(self.shape[1])) << self.plan.n_qubits
        return self.plan.workspace.empty(n_tiles, size, self.features.dtype)


class Gradients:
    """Room for a loss's gradients: shared angles (tiles, angles), features and weights, amplitudes."""

    def __init__(self, call: Call, *, wants_amplitudes: bool) -> None:
        self.call, kind = call, call.features.dtype
        self.of_angles = np.zeros((call.n_tiles, call.plan.flat.tables.n_shared_angles), np.float64)
        self.of_inputs = (np.zeros(call.features.shape, kind), np.zeros(call.weights.shape, kind))
        self.of_amplitudes = np.empty_like(call.amplitudes) if wants_amplitudes else call.amplitudes[:0]

    def tensors(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """As gradients of features, weights and amplitudes."""
        of_features, of_weights = self.of_inputs
        rows = of_weights[0] if self.call.is_single_row else of_weights
        return torch.from_numpy(of_features), torch.from_numpy(rows), self._of_amplitudes()

    def _of_amplitudes(self) -> Tensor | None:
        kind = self.call.kind_of_start
        if kind is None or len(self.of_amplitudes) < self.call.batch:
            return None
        planes = torch.from_numpy(self.of_amplitudes)
        return torch.view_as_complex(planes) if kind.is_complex else planes[..., 0]


def inputs_of(features: Tensor, weights: Tensor) -> tuple[Array, Array]:
    """Features (B, F) and weights (1 or B, W) as arrays."""
    rows = array_of(weights)
    return array_of(features), rows if rows.ndim == 2 else rows[None]


def array_of(tensor: Tensor) -> Array:
    """The numbers of a tensor, in C order."""
    return np.ascontiguousarray(tensor.numpy(force=True))


def _planes_of(amplitudes: Tensor | None, kind: Any) -> Array:
    if amplitudes is None:
        return np.empty((0, 0, 0), kind)
    array = array_of(amplitudes)
    parts = array.view(kind) if array.dtype.kind == "c" else array
    return parts.reshape(*array.shape, 2 if array.dtype.kind == "c" else 1)
