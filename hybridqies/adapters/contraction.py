"""Matrices on a few axes of a tensor each, applied one after the other to the rows of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import linear

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a matrix acts: its axes, the first one slowest, and their sizes after it."""

    axes: tuple[int, ...]
    out_sizes: Sizes


@dataclass(frozen=True, slots=True)
class _Step:
    """The axes that a matrix acts on are moved to the end and stay there."""

    order: tuple[int, ...]
    n_in: int
    shape: Sizes


class Contraction:
    """Plans one matrix product for each place; axes are put back in order only once, at the end."""

    def __init__(self, in_axes: Sequence[int], places: Iterable[Place]) -> None:
        self._in_axes = tuple(in_axes)
        self._steps: list[_Step] = []
        sizes, current = list(in_axes), list(range(len(in_axes)))
        for place in places:
            rest = [axis for axis in current if axis not in place.axes]
            order = (0, *(1 + current.index(axis) for axis in (*rest, *place.axes)))
            n_in = math.prod(sizes[axis] for axis in place.axes)
            shape = (-1, *(sizes[axis] for axis in rest), *place.out_sizes)
            self._steps.append(_Step(order, n_in, shape))
            current = [*rest, *place.axes]
            for axis, size in zip(place.axes, place.out_sizes, strict=True):
                sizes[axis] = size
        self._back = (0, *(1 + current.index(axis) for axis in range(len(in_axes))))
        self._width = math.prod(sizes)

    def apply(self, rows: Tensor, matrices: Iterable[Tensor]) -> Tensor:
        """Rows (B, product of the sizes) through the matrices, each (out, in), in their order."""
        tensor = rows.reshape(-1, *self._in_axes)
        for step, matrix in zip(self._steps, matrices, strict=True):
            # Two axes: with more, torch takes another road, and other bits, where gradients are off.
            tensor = linear(tensor.permute(step.order).reshape(-1, step.n_in), matrix).reshape(step.shape)
        return tensor.permute(self._back).reshape(-1, self._width)
