"""One block of a plan on a tile larger than it: coset by coset, each in a copy that a core's cache holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridqies.engine.amplitudes import get, put
from hybridqies.engine.jit import kernel, part
from hybridqies.engine.passes import apply, is_idle
from hybridqies.engine.tiles import undo_op


@part
def offsets(basis: Any) -> Any:
    """Where the amplitudes of a coset lie from its start: every sum of the basis vectors."""
    result = np.zeros(1 << len(basis), np.int64)
    for j in range(len(basis)):
        for k in range(1 << j):
            result[(1 << j) + k] = result[k] ^ basis[j]
    return result


@part
def coset(k: int, pivots: Any) -> Any:
    """The start of coset k: k with zeros inserted at the pivots, lowest first."""
    for pivot in pivots:
        k = ((k >> pivot) << (pivot + 1)) | (k & ((1 << pivot) - 1))
    return k


@part
def gather(tile: Any, base: int, places: Any, near: Any, shape: Any) -> None:
    """Copies the amplitudes of one coset out of a tile."""
    for j in range(len(places)):
        put(near, j, get(tile, base ^ places[j], shape), shape)


@part
def scatter(near: Any, base: int, places: Any, tile: Any, shape: Any) -> None:
    """Copies the amplitudes of one coset back into a tile."""
    for j in range(len(places)):
        put(tile, base ^ places[j], get(near, j, shape), shape)


@kernel
def block_forward(flat: Any, block: int, first: int, last: int, matrices: Any, tile: Any, shape: Any) -> None:
    """Applies one block's ops to cosets first..last of a tile."""
    slots, layout = flat.tables.step_slot, flat.layout
    start, end = layout.block_first[block], layout.block_first[block + 1]
    width = layout.basis.shape[1]
    places = offsets(layout.basis[block])
    near = np.empty(len(places) * len(shape[0]) * len(shape[1]), tile.dtype)
    for k in range(first, last):
        base = coset(k, layout.pivots[block])
        gather(tile, base, places, near, shape)
        after = coset(min(k + 1, last - 1), layout.pivots[block])
        for at in range(start, end):
            if not is_idle(layout.ops[at], base):
                # An op has at least a quarter as many turns as the coset has amplitudes.
                ahead = (places, after, ((at - start) << width) >> 2, tile)
                apply(layout.ops[at], slots, width, base, matrices, near, ahead, shape)
        scatter(near, base, places, tile, shape)


@kernel
def block_backward(
    flat: Any,
    block: int,
    first: int,
    last: int,
    matrices: Any,
    ket: Any,
    bra: Any,
    gradients: Any,
    shape: Any,
) -> None:
    """Takes both states of cosets first..last back through one block, and adds its gradients."""
    slots, layout = flat.tables.step_slot, flat.layout
    start, end = layout.block_first[block], layout.block_first[block + 1]
    width = layout.basis.shape[1]
    sums = np.empty(6 * len(shape[0]), ket.dtype)
    places = offsets(layout.basis[block])
    size = len(places) * len(shape[0]) * len(shape[1])
    near_ket, near_bra = np.empty(size, ket.dtype), np.empty(size, ket.dtype)
    for k in range(first, last):
        base = coset(k, layout.pivots[block])
        gather(ket, base, places, near_ket, shape)
        gather(bra, base, places, near_bra, shape)
        after = coset(min(k + 1, last - 1), layout.pivots[block])
        for at in range(end - 1, start - 1, -1):
            op = layout.ops[at]
            if not is_idle(op, base):
                ahead = (places, after, ((end - 1 - at) << width) >> 2, ket, bra)
                undo_op(op, slots, width, base, matrices, near_ket, near_bra, sums, gradients, ahead, shape)
        scatter(near_ket, base, places, ket, shape)
        scatter(near_bra, base, places, bra, shape)
