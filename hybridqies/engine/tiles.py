"""Whole passes over a tile: a plan forwards from its start to its expectations, and back to its angles."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridqies.engine.coefficients import (
    add_input_slopes,
    batched_matrices,
    chain,
    shared_matrices,
)
from hybridqies.engine.jit import kernel
from hybridqies.engine.kernels import WANTS, apply, get, is_idle, put, undo
from hybridqies.engine.states import (
    grow_product,
    load_amplitudes,
    measure,
    one,
    shrink_product,
    start_bra,
    store_amplitudes,
)


@kernel
def offsets(basis: Any) -> Any:
    """Where the amplitudes of a coset lie from its start: every sum of the basis vectors."""
    result = np.zeros(1 << len(basis), np.int64)
    for j in range(len(basis)):
        for k in range(1 << j):
            result[(1 << j) + k] = result[k] ^ basis[j]
    return result


@kernel
def coset(k: int, pivots: Any) -> Any:
    """The start of coset k: k with zeros inserted at the pivots, lowest first."""
    for pivot in pivots:
        k = ((k >> pivot) << (pivot + 1)) | (k & ((1 << pivot) - 1))
    return k


@kernel
def block_forward(
    tables: Any,
    layout: Any,
    n_qubits: int,
    block: int,
    first: int,
    last: int,
    shared: Any,
    batched: Any,
    tile: Any,
    lanes: Any,
    planes: Any,
) -> None:
    """Applies one block's ops to cosets first..last of a tile."""
    slots, ops = tables.step_slot, layout.ops
    start, end = layout.block_first[block], layout.block_first[block + 1]
    width = layout.basis.shape[1]
    if width == n_qubits:
        for at in range(start, end):
            apply(ops[at], slots, n_qubits, 0, shared, batched, tile, lanes, planes)
        return
    places = offsets(layout.basis[block])
    near = np.empty(len(places) * len(planes) * len(lanes), tile.dtype)
    for k in range(first, last):
        base = coset(k, layout.pivots[block])
        for j in range(len(places)):
            put(near, j, get(tile, base ^ places[j], lanes, planes), lanes)
        for at in range(start, end):
            if not is_idle(ops[at], base):
                apply(ops[at], slots, width, base, shared, batched, near, lanes, planes)
        for j in range(len(places)):
            put(tile, base ^ places[j], get(near, j, lanes, planes), lanes)


@kernel
def add_slopes(step: int, slots: Any, sums: Any, at: int, shared: Any, batched: Any, lanes: int) -> None:
    """Adds a step's slopes in `sums` (…, 3, lanes), flat, to those of its slot, in double."""
    slot = slots[step]
    for axis in range(3):
        for lane in range(lanes):
            slope = np.float64(sums[(3 * at + axis) * lanes + lane])
            if slot < 0:
                shared[~slot, axis] += slope
            else:
                batched[slot, axis, lane] += slope


@kernel
def _undo_op(
    op: Any,
    slots: Any,
    n_bits: int,
    base: int,
    shared: Any,
    batched: Any,
    ket: Any,
    bra: Any,
    sums: Any,
    of_shared: Any,
    of_batched: Any,
    lanes: Any,
    planes: Any,
) -> None:
    undo(op, slots, n_bits, base, shared, batched, ket, bra, sums, lanes, planes)
    if op[WANTS]:
        add_slopes(op[0], slots, sums, 0, of_shared, of_batched, len(lanes))
        if op[1] >= 0:
            add_slopes(op[1], slots, sums, 1, of_shared, of_batched, len(lanes))


@kernel
def block_backward(
    tables: Any,
    layout: Any,
    n_qubits: int,
    block: int,
    first: int,
    last: int,
    shared: Any,
    batched: Any,
    ket: Any,
    bra: Any,
    of_shared: Any,
    of_batched: Any,
    lanes: Any,
    planes: Any,
) -> None:
    """Takes both states of cosets first..last back through one block, and adds its slopes."""
    slots, ops = tables.step_slot, layout.ops
    start, end = layout.block_first[block], layout.block_first[block + 1]
    width = layout.basis.shape[1]
    sums = np.empty(6 * len(lanes), ket.dtype)
    if width == n_qubits:
        for at in range(end - 1, start - 1, -1):
            _undo_op(
                ops[at],
                slots,
                n_qubits,
                0,
                shared,
                batched,
                ket,
                bra,
                sums,
                of_shared,
                of_batched,
                lanes,
                planes,
            )
        return
    places = offsets(layout.basis[block])
    size = len(places) * len(planes) * len(lanes)
    near_ket, near_bra = np.empty(size, ket.dtype), np.empty(size, ket.dtype)
    for k in range(first, last):
        base = coset(k, layout.pivots[block])
        for j in range(len(places)):
            put(near_ket, j, get(ket, base ^ places[j], lanes, planes), lanes)
            put(near_bra, j, get(bra, base ^ places[j], lanes, planes), lanes)
        for at in range(end - 1, start - 1, -1):
            if not is_idle(ops[at], base):
                _undo_op(
                    ops[at],
                    slots,
                    width,
                    base,
                    shared,
                    batched,
                    near_ket,
                    near_bra,
                    sums,
                    of_shared,
                    of_batched,
                    lanes,
                    planes,
                )
        for j in range(len(places)):
            put(ket, base ^ places[j], get(near_ket, j, lanes, planes), lanes)
            put(bra, base ^ places[j], get(near_bra, j, lanes, planes), lanes)


@kernel
def start_zero(tile: Any, lanes: Any, planes: Any, row: int) -> None:
    """The amplitude 1 at `row`."""
    put(tile, row, one(tile, lanes, planes), lanes)


@kernel
def _start(
    tables: Any,
    layout: Any,
    n_qubits: int,
    amplitudes: Any,
    start: int,
    shared: Any,
    batched: Any,
    tile: Any,
    lanes: Any,
    planes: Any,
) -> None:
    if not len(layout.product):
        load_amplitudes(amplitudes, start, 0, 1 << n_qubits, tile, len(lanes), len(planes))
        return
    start_zero(tile, lanes, planes, 0)
    for bit in range(n_qubits):
        grow_product(
            layout.product[bit],
            bit,
            0,
            1 << bit,
            0,
            0,
            tables.step_slot,
            shared,
            batched,
            tile,
            lanes,
            planes,
        )


@kernel
def forward_tiles(
    tables: Any,
    layout: Any,
    n_qubits: int,
    features: Any,
    weights: Any,
    amplitudes: Any,
    first: int,
    last: int,
    states: Any,
    values: Any,
    lanes: Any,
    planes: Any,
) -> None:
    """Runs tiles first..last whole: final states into `states` (tiles, or 1, flat), ⟨P⟩ into `values` (B, M)."""
    shared_angles, shared = shared_matrices(tables, weights, len(planes), features)
    read = np.empty((values.shape[1], len(lanes)), np.float64)
    for at in range(first, last):
        start = at * len(lanes)
        _, batched = batched_matrices(
            tables, features, weights, start, shared_angles, len(lanes), len(planes)
        )
        tile = states[at if len(states) > 1 else 0]
        _start(tables, layout, n_qubits, amplitudes, start, shared, batched, tile, lanes, planes)
        for block in range(len(layout.block_first) - 1):
            cosets = 1 << (n_qubits - layout.basis.shape[1])
            block_forward(tables, layout, n_qubits, block, 0, cosets, shared, batched, tile, lanes, planes)
        read[:] = 0
        measure(layout.observables, 0, 1 << n_qubits, tile, read, lanes, planes)
        write_values(read, start, values)


@kernel
def write_values(read: Any, start: int, values: Any) -> None:
    """Copies a tile's ⟨P⟩ (M, lanes) into those of the batch (B, M)."""
    for lane in range(min(read.shape[1], len(values) - start)):
        for m in range(read.shape[0]):
            values[start + lane, m] = read[m, lane]


@kernel
def tile_weights(gradients: Any, start: int, lanes: int) -> Any:
    """One tile's part of the gradients (B, M), flat as (M, lanes); 0 for lanes beyond the batch."""
    result = np.zeros(gradients.shape[1] * lanes, gradients.dtype)
    for lane in range(min(lanes, len(gradients) - start)):
        for m in range(gradients.shape[1]):
            result[m * lanes + lane] = gradients[start + lane, m]
    return result


@kernel
def _back_to_zero(
    tables: Any,
    layout: Any,
    n_qubits: int,
    shared: Any,
    batched: Any,
    ket: Any,
    bra: Any,
    of_shared: Any,
    of_batched: Any,
    lanes: Any,
    planes: Any,
) -> None:
    """The slopes of the steps of a product state, from its bra; `ket` is written anew."""
    slots, sums = tables.step_slot, np.empty(3 * len(lanes), ket.dtype)
    start_zero(ket, lanes, planes, 1)
    for bit in range(n_qubits - 1):
        grow_product(
            layout.product[bit],
            bit,
            0,
            1 << bit,
            1 << bit,
            2 << bit,
            slots,
            shared,
            batched,
            ket,
            lanes,
            planes,
        )
    for bit in range(n_qubits - 1, -1, -1):
        step = layout.product[bit]
        shrink_product(step, bit, 0, 1 << bit, slots, shared, batched, ket, bra, sums, lanes, planes)
        if step >= 0:
            add_slopes(step, slots, sums, 0, of_shared, of_batched, len(lanes))


@kernel
def finish_tile(
    tables: Any,
    features: Any,
    weights: Any,
    start: int,
    shared_angles: Any,
    batched_angles: Any,
    of_shared: Any,
    of_batched: Any,
    of_angles: Any,
    of_features: Any,
    of_weights: Any,
) -> None:
    """Chains a tile's slopes to the inputs of its samples, and to the shared angles in `of_angles`."""
    n_shared, lanes = tables.n_shared_angles, of_batched.shape[2]
    of_own = np.zeros((len(tables.angle_scale) - n_shared, lanes), np.float64)
    valid = min(lanes, len(features) - start)
    for step in range(len(tables.step_slot)):
        slot = tables.step_slot[step]
        if slot < 0:
            s = of_shared[~slot]
            chain(tables, step, s[0], s[1], s[2], shared_angles, batched_angles, 0, of_angles, of_own)
        else:
            for lane in range(valid):
                x, y, z = of_batched[slot, 0, lane], of_batched[slot, 1, lane], of_batched[slot, 2, lane]
                chain(tables, step, x, y, z, shared_angles, batched_angles, lane, of_angles, of_own)
    for a in range(len(of_own)):
        for lane in range(valid):
            add_input_slopes(
                tables,
                n_shared + a,
                of_own[a, lane],
                features,
                weights,
                start + lane,
                of_features,
                of_weights,
            )


@kernel
def backward_tiles(
    tables: Any,
    layout: Any,
    n_qubits: int,
    features: Any,
    weights: Any,
    gradients: Any,
    first: int,
    last: int,
    states: Any,
    of_angles: Any,
    of_features: Any,
    of_weights: Any,
    of_amplitudes: Any,
    lanes: Any,
    planes: Any,
) -> None:
    """Takes tiles first..last from their final `states`, which are used up, back to the slopes of all inputs."""
    shared_angles, shared = shared_matrices(tables, weights, len(planes), features)
    bra = np.empty_like(states[0])
    n_batched = len(tables.step_slot) - tables.n_shared_steps
    for at in range(first, last):
        start, ket = at * len(lanes), states[at]
        own_angles, batched = batched_matrices(
            tables, features, weights, start, shared_angles, len(lanes), len(planes)
        )
        of_shared = np.zeros((tables.n_shared_steps, 3), np.float64)
        of_batched = np.zeros((n_batched, 3, len(lanes)), np.float64)
        slope = tile_weights(gradients, start, len(lanes))
        start_bra(layout.observables, 0, 1 << n_qubits, slope, ket, bra, lanes, planes)
        for block in range(len(layout.block_first) - 2, -1, -1):
            cosets = 1 << (n_qubits - layout.basis.shape[1])
            block_backward(
                tables,
                layout,
                n_qubits,
                block,
                0,
                cosets,
                shared,
                batched,
                ket,
                bra,
                of_shared,
                of_batched,
                lanes,
                planes,
            )
        if len(layout.product):
            _back_to_zero(
                tables, layout, n_qubits, shared, batched, ket, bra, of_shared, of_batched, lanes, planes
            )
        else:
            store_amplitudes(of_amplitudes, start, 0, len(of_amplitudes[0]), bra, len(lanes), len(planes))
        finish_tile(
            tables,
            features,
            weights,
            start,
            shared_angles,
            own_angles,
            of_shared,
            of_batched,
            of_angles[at],
            of_features,
            of_weights,
        )


@kernel
def shared_weight_slopes(tables: Any, of_angles: Any, weights: Any, of_weights: Any) -> None:
    """Adds the slopes of the shared angles, a row a tile, to those of the weights, tile after tile."""
    nothing = np.empty((1, 0), weights.dtype)
    for tile in range(len(of_angles)):
        for a in range(tables.n_shared_angles):
            add_input_slopes(tables, a, of_angles[tile, a], nothing, weights, 0, nothing, of_weights)
