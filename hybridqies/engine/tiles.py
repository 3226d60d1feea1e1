"""Whole passes over a tile: a plan forwards from its start to its expectations, and back to its angles.

`flat` is a plan's `Flat`; `matrices` and `gradients` are pairs: of steps that all samples share,
and of those that differ by sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridqies.engine.amplitudes import put
from hybridqies.engine.coefficients import (
    add_input_gradients,
    batched_matrices,
    chain,
    shared_matrices,
)
from hybridqies.engine.jit import kernel, part
from hybridqies.engine.packed import unpack
from hybridqies.engine.passes import apply, undo
from hybridqies.engine.plan import Op
from hybridqies.engine.states import (
    grow_product,
    load_amplitudes,
    measure,
    one,
    shrink_product,
    start_bra,
    store_amplitudes,
)
from hybridqies.engine.vectors import add, cast, load, store, total

_WANTS, _SECOND = Op._fields.index("wants_gradient"), Op._fields.index("second")


@kernel
def add_gradients(step: int, slots: Any, sums: Any, at: int, gradients: Any, lanes: Any) -> None:
    """Adds gradients number `at` of `sums` (…, 3, lanes) to those of a step, in double."""
    width, slot = len(lanes), slots[step]
    for axis in range(3):
        own = cast(gradients[1], load(sums, (3 * at + axis) * width, lanes))
        if slot < 0:
            gradients[0][3 * ~slot + axis] += total(own)
        else:
            to = (3 * slot + axis) * width
            store(gradients[1], to, add(load(gradients[1], to, lanes), own))


@part
def undo_op(
    op: Any,
    slots: Any,
    n_bits: int,
    base: int,
    matrices: Any,
    ket: Any,
    bra: Any,
    sums: Any,
    gradients: Any,
    ahead: Any,
    shape: Any,
) -> None:
    """Takes both states back through one op, and adds its gradients."""
    undo(op, slots, n_bits, base, matrices, ket, bra, sums, ahead, shape)
    if op[_WANTS]:
        add_gradients(op[0], slots, sums, 0, gradients, shape[0])
        if op[_SECOND] >= 0:
            add_gradients(op[_SECOND], slots, sums, 1, gradients, shape[0])


@part
def _through(flat: Any, matrices: Any, tile: Any, shape: Any) -> None:
    ops, slots = flat.layout.ops, flat.tables.step_slot
    for at in range(len(ops)):
        apply(ops[at], slots, flat.n_qubits, 0, matrices, tile, (), shape)


@part
def _back_through(flat: Any, matrices: Any, ket: Any, bra: Any, gradients: Any, shape: Any) -> None:
    ops, slots = flat.layout.ops, flat.tables.step_slot
    sums = np.empty(6 * len(shape[0]), ket.dtype)
    for at in range(len(ops) - 1, -1, -1):
        undo_op(ops[at], slots, flat.n_qubits, 0, matrices, ket, bra, sums, gradients, (), shape)


@kernel
def start_zero(tile: Any, row: int, shape: Any) -> None:
    """The amplitude 1 at `row`."""
    put(tile, row, one(tile, shape), shape)


@part
def _start(flat: Any, amplitudes: Any, start: int, matrices: Any, tile: Any, shape: Any) -> None:
    if not len(flat.layout.product):
        load_amplitudes(amplitudes, start, 0, 1 << flat.n_qubits, tile, shape)
        return
    slots = flat.tables.step_slot
    start_zero(tile, 0, shape)
    for bit in range(flat.n_qubits):
        step = flat.layout.product[bit]
        grow_product(step, bit, 0, 1 << bit, 0, 0, slots, matrices, tile, shape)


@part
def _back_to_zero(flat: Any, matrices: Any, ket: Any, bra: Any, gradients: Any, shape: Any) -> None:
    """The gradients of the steps of a product state, from its bra; `ket` is written anew."""
    slots, sums = flat.tables.step_slot, np.empty(3 * len(shape[0]), ket.dtype)
    start_zero(ket, 1, shape)
    for bit in range(flat.n_qubits - 1):
        step = flat.layout.product[bit]
        grow_product(step, bit, 0, 1 << bit, 1 << bit, 2 << bit, slots, matrices, ket, shape)
    for bit in range(flat.n_qubits - 1, -1, -1):
        step = flat.layout.product[bit]
        shrink_product(step, bit, 0, 1 << bit, slots, matrices, ket, bra, sums, shape)
        if step >= 0:
            add_gradients(step, slots, sums, 0, gradients, shape[0])


@kernel
def forward_tiles(
    packed: Any,
    inputs: Any,
    amplitudes: Any,
    first: int,
    last: int,
    states: Any,
    values: Any,
    alone: Any,
    shape: Any,
) -> None:
    """Runs tiles first..last whole: final states into `states` (tiles or 1, …), ⟨P⟩ into `values` (B, M)."""
    flat, (lanes, planes) = unpack(packed), shape
    features, weights = inputs
    shared_angles, shared = shared_matrices(flat.tables, weights, features, alone, planes)
    read = np.empty((values.shape[1], len(lanes)), np.float64)
    for at in range(first, last):
        start = at * len(lanes)
        _, own = batched_matrices(flat.tables, features, weights, start, shared_angles, lanes, planes)
        tile = states[at if len(states) > 1 else 0]
        _start(flat, amplitudes, start, (shared, own), tile, shape)
        _through(flat, (shared, own), tile, shape)
        read[:] = 0
        measure(flat.layout.observables, 0, 1 << flat.n_qubits, tile, read, shape)
        write_values(read, start, values)


@kernel
def write_values(read: Any, start: int, values: Any) -> None:
    """Copies a tile's ⟨P⟩ (M, lanes) into those of the batch (B, M)."""
    for lane in range(min(read.shape[1], len(values) - start)):
        for m in range(read.shape[0]):
            values[start + lane, m] = read[m, lane]


@kernel
def tile_weights(of_values: Any, start: int, lanes: int) -> Any:
    """One tile's part of the gradients for ⟨P⟩ (B, M), flat as (M, lanes); 0 for lanes beyond the batch."""
    result = np.zeros(of_values.shape[1] * lanes, of_values.dtype)
    for lane in range(min(lanes, len(of_values) - start)):
        for m in range(of_values.shape[1]):
            result[m * lanes + lane] = of_values[start + lane, m]
    return result


@kernel
def empty_gradients(tables: Any, lanes: int) -> Any:
    """Zeros for the gradients of shared (steps, 3) and batched steps (steps, 3, lanes), flat."""
    n_own = len(tables.step_slot) - tables.n_shared_steps
    return np.zeros(3 * tables.n_shared_steps, np.float64), np.zeros(3 * n_own * lanes, np.float64)


@kernel
def finish_tile(
    tables: Any,
    inputs: Any,
    start: int,
    angles: Any,
    gradients: Any,
    of_angles: Any,
    of_inputs: Any,
    alone: Any,
    lanes: Any,
) -> None:
    """Chains a tile's gradients to the inputs of its samples, and to the shared angles in `of_angles`."""
    n_shared, width = tables.n_shared_angles, len(lanes)
    n_own = len(tables.angle_scale) - n_shared
    of_own = np.zeros(n_own * width, np.float64)
    for step in range(len(tables.step_slot)):
        slot = tables.step_slot[step]
        if slot < 0:
            chain(tables, step, gradients[0], ~slot, angles[0], angles[0], of_angles, of_angles, alone)
        else:
            chain(tables, step, gradients[1], slot, angles[0], angles[1], of_angles, of_own, lanes)
    n_samples = min(width, len(inputs[0]) - start)
    add_input_gradients(tables, n_shared, of_own.reshape(n_own, width), inputs, start, n_samples, of_inputs)


@kernel
def shared_weight_gradients(tables: Any, of_angles: Any, inputs: Any, of_inputs: Any) -> None:
    """Adds the gradients of the shared angles, a row a tile, to those of the weights."""
    sums = np.zeros((tables.n_shared_angles, 1), np.float64)
    for tile in range(len(of_angles)):
        for a in range(tables.n_shared_angles):
            sums[a, 0] += of_angles[tile, a]
    add_input_gradients(tables, 0, sums, inputs, 0, 1, of_inputs)


@kernel
def backward_tiles(
    packed: Any,
    inputs: Any,
    of_values: Any,
    first: int,
    last: int,
    states: Any,
    gradients: Any,
    alone: Any,
    shape: Any,
) -> None:
    """Takes tiles first..last from their final `states`, which are used up, back to the gradients of inputs.

    Gradients of shared angles go on to their weights here when these are all tiles.
    """
    flat, (lanes, planes) = unpack(packed), shape
    features, weights = inputs
    of_angles, of_inputs, of_amplitudes = gradients
    shared_angles, shared = shared_matrices(flat.tables, weights, features, alone, planes)
    bra = np.empty_like(states[0])
    for at in range(first, last):
        start, ket = at * len(lanes), states[at]
        own_angles, own = batched_matrices(
            flat.tables, features, weights, start, shared_angles, lanes, planes
        )
        of_steps = empty_gradients(flat.tables, len(lanes))
        weights_of_values = tile_weights(of_values, start, len(lanes))
        start_bra(flat.layout.observables, 0, 1 << flat.n_qubits, weights_of_values, ket, bra, shape)
        _back_through(flat, (shared, own), ket, bra, of_steps, shape)
        if len(flat.layout.product):
            _back_to_zero(flat, (shared, own), ket, bra, of_steps, shape)
        elif len(of_amplitudes):
            store_amplitudes(of_amplitudes, start, 0, of_amplitudes.shape[1], bra, shape)
        angles = (shared_angles, own_angles)
        finish_tile(flat.tables, inputs, start, angles, of_steps, of_angles[at], of_inputs, alone, lanes)
    if last - first == len(states):
        shared_weight_gradients(flat.tables, of_angles, inputs, of_inputs)
