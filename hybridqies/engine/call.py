"""One call of the engine on the CPU: its inputs as arrays, and how its batch is cut into tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridqies.engine.plan import Plan
from hybridqies.engine.tables import Array

# Samples a tile, by element size: a vector of AVX-512 has 64 bytes.
_LANES = {4: (1, 8, 16), 8: (1, 8)}
# Larger states take narrower tiles, so that memory does not grow with the width of a vector.
_WIDE_QUBITS = 18


def lanes_of(n_qubits: int, batch: int, itemsize: int) -> int:
    """How many samples a tile holds: the narrowest vector that takes the batch, or the widest there is."""
    widths = [width for width in _LANES[itemsize] if n_qubits < _WIDE_QUBITS or width <= 8]
    return next((width for width in widths if width >= batch), widths[-1])


class Call:
    """Features (B, F), weights (1 or B, W) and amplitudes (B, 2**n, planes) as arrays, cut into tiles.

    `lanes` and `planes` are tuples of None whose lengths are meant (see `vectors`).
    """

    def __init__(self, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> None:
        self.plan = plan
        self.features = array_of(features)
        self.weights = np.atleast_2d(array_of(weights))
        self.batch = len(self.features)
        self.amplitudes = _planes_of(amplitudes, self.features.dtype)
        width = lanes_of(plan.n_qubits, self.batch, self.features.itemsize)
        self.n_tiles = -(-self.batch // width)
        self.lanes: tuple[None, ...] = (None,) * width
        self.planes: tuple[None, ...] = (None,) * (1 if plan.is_real else 2)

    def tile_sizes(self) -> tuple[int, int]:
        """Lanes and planes, as numbers."""
        return len(self.lanes), len(self.planes)

    def empty_states(self, n_tiles: int) -> Array:
        """Room for the states of some tiles, each flat."""
        size = (len(self.lanes) * len(self.planes)) << self.plan.n_qubits
        return np.empty((n_tiles, size), self.features.dtype)


class Slopes:
    """Room for a loss's slopes: shared angles (tiles, angles), features, weights and amplitudes."""

    def __init__(self, call: Call) -> None:
        self.of_angles = np.zeros((call.n_tiles, call.plan.tables.n_shared_angles), np.float64)
        self.of_features = np.zeros(call.features.shape, np.float64)
        self.of_weights = np.zeros(call.weights.shape, np.float64)
        self.of_amplitudes = np.empty_like(call.amplitudes)

    def tensors(self, weights: Tensor, amplitudes: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """As gradients of features, weights and amplitudes."""
        of_features, of_weights = (
            torch.from_numpy(each).to(weights.dtype) for each in (self.of_features, self.of_weights)
        )
        return of_features, of_weights.reshape(weights.shape), _amplitudes_of(self.of_amplitudes, amplitudes)


def array_of(tensor: Tensor) -> Array:
    """The numbers of a tensor, in C order."""
    plain: Any = tensor.detach().resolve_conj().resolve_neg().numpy()
    return np.ascontiguousarray(plain)


def _planes_of(amplitudes: Tensor | None, kind: Any) -> Array:
    if amplitudes is None:
        return np.empty((0, 0, 0), kind)
    array = array_of(amplitudes)
    parts = array.view(kind) if array.dtype.kind == "c" else array
    return parts.reshape(*array.shape, -1)


def _amplitudes_of(planes: Array, like: Tensor | None) -> Tensor | None:
    if like is None:
        return None
    tensor = torch.from_numpy(planes)
    return torch.view_as_complex(tensor) if like.is_complex() else tensor[..., 0]
