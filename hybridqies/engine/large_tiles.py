"""Passes over a tile too large for a core's cache: cut into pieces that all threads share.

A pass is cut into the same pieces whatever the number of threads, and what the
pieces add up is summed in their order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from hybridqies.engine import cosets, states, tiles
from hybridqies.engine.call import ALONE, Call, Gradients
from hybridqies.engine.coefficients import batched_matrices, shared_matrices
from hybridqies.engine.tables import Array
from hybridqies.engine.workers import each_part

Pair = tuple[Array, Array]
PIECES = 16
# Rows below which a pass is one piece.
_SMALL = 2**12


def forward(call: Call, kept: Array, values: Array) -> None:
    """Final states of all tiles into `kept` (tiles, or 1 for all in turn), ⟨P⟩ into `values` (B, M)."""
    shared_angles, shared = shared_matrices(
        call.plan.flat.tables, call.weights, call.features, ALONE, call.shape[1]
    )
    for at in range(call.n_tiles):
        tile = _Tile(call, at, shared_angles, shared, kept[at if len(kept) > 1 else 0])
        tile.forward()
        tiles.write_values(tile.measure(), tile.start, values)


def backward(call: Call, kept: Array, of_values: Array, gradients: Gradients) -> None:
    """Takes every tile from its final state in `kept`, which is used up, back to its inputs."""
    tables = call.plan.flat.tables
    shared_angles, shared = shared_matrices(tables, call.weights, call.features, ALONE, call.shape[1])
    bras = call.empty_states(1)
    bra = bras[0]
    for at in range(call.n_tiles):
        tile = _Tile(call, at, shared_angles, shared, kept[at])
        of_steps = tile.backward(bra, tiles.tile_weights(of_values, tile.start, call.lanes), gradients)
        angles = (shared_angles, tile.angles)
        tiles.finish_tile(
            tables,
            call.inputs,
            tile.start,
            angles,
            of_steps,
            gradients.of_angles[at],
            gradients.of_inputs,
            ALONE,
            call.shape[0],
        )
    tiles.shared_weight_gradients(tables, gradients.of_angles, call.inputs, gradients.of_inputs)
    call.plan.workspace.take_back(kept, bras)


def _each(run: Callable[[int, int, int], None], count: int, small: int = _SMALL) -> int:
    """Calls `run(piece, first, last)` for each piece of range(count); how many there were."""
    n_pieces = PIECES if count >= small else 1
    bounds = [count * piece // n_pieces for piece in range(n_pieces + 1)]

    def part(first: int, last: int) -> None:
        for piece in range(first, last):
            run(piece, bounds[piece], bounds[piece + 1])

    each_part(part, n_pieces, torch.get_num_threads())
    return n_pieces


class _Tile:
    """One tile in work: the matrices of its samples, its ket, and its passes."""

    def __init__(self, call: Call, at: int, shared_angles: Array, shared: Array, ket: Array) -> None:
        self.call, self.flat, self.shape, self.ket = call, call.plan.flat, call.shape, ket
        self.start = at * call.lanes
        self.angles, own = batched_matrices(
            self.flat.tables, call.features, call.weights, self.start, shared_angles, *call.shape
        )
        self.matrices = (shared, own)

    def forward(self) -> None:
        """Writes the final state into the ket."""
        if len(self.flat.layout.product):
            tiles.start_zero(self.ket, 0, self.shape)
            for bit in range(self.flat.n_qubits):
                self._grow(bit, 0, 0)
        else:
            self._load()
        for block in range(len(self.flat.layout.block_first) - 1):
            self._through(block)

    def measure(self) -> Array:
        """⟨P⟩ (M, lanes) of the ket."""
        observables = self.flat.layout.observables
        parts = np.zeros((PIECES, len(observables), self.call.lanes), np.float64)

        def run(piece: int, first: int, last: int) -> None:
            states.measure(observables, first, last, self.ket, parts[piece], self.shape)

        _each(run, 1 << self.flat.n_qubits)
        return np.asarray(parts.sum(axis=0))

    def backward(self, bra: Array, weights: Array, gradients: Gradients) -> Pair:
        """The gradients of shared and of batched steps, flat; uses up ket and `bra`."""
        layout = self.flat.layout
        parts = [tiles.empty_gradients(self.flat.tables, self.call.lanes) for _ in range(PIECES)]

        def start(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.start_bra(layout.observables, first, last, weights, self.ket, bra, self.shape)

        _each(start, 1 << self.flat.n_qubits)
        for block in range(len(layout.block_first) - 2, -1, -1):
            self._back_through(block, bra, parts)
        if len(layout.product):
            self._unwind(bra, parts)
        elif len(gradients.of_amplitudes):
            self._store(bra, gradients.of_amplitudes)
        return np.sum([part[0] for part in parts], axis=0), np.sum([part[1] for part in parts], axis=0)

    def _load(self) -> None:
        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.load_amplitudes(self.call.amplitudes, self.start, first, last, self.ket, self.shape)

        _each(run, 1 << self.flat.n_qubits)

    def _store(self, bra: Array, into: Array) -> None:
        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.store_amplitudes(into, self.start, first, last, bra, self.shape)

        _each(run, 1 << self.flat.n_qubits)

    def _cosets(self) -> int:
        return 1 << (self.flat.n_qubits - int(self.flat.layout.basis.shape[1]))

    def _through(self, block: int) -> None:
        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            cosets.block_forward(self.flat, block, first, last, self.matrices, self.ket, self.shape)

        _each(run, self._cosets(), PIECES)

    def _back_through(self, block: int, bra: Array, parts: list[Pair]) -> None:
        def run(piece: int, first: int, last: int) -> None:
            cosets.block_backward(
                self.flat, block, first, last, self.matrices, self.ket, bra, parts[piece], self.shape
            )

        _each(run, self._cosets(), PIECES)

    def _grow(self, bit: int, source: int, target: int) -> None:
        step, slots = self.flat.layout.product[bit], self.flat.tables.step_slot

        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.grow_product(
                step, bit, first, last, source, target, slots, self.matrices, self.ket, self.shape
            )

        _each(run, 1 << bit)

    def _unwind(self, bra: Array, parts: list[Pair]) -> None:
        slots = self.flat.tables.step_slot
        tiles.start_zero(self.ket, 1, self.shape)
        for bit in range(self.flat.n_qubits - 1):
            self._grow(bit, 1 << bit, 2 << bit)
        sums = np.empty((PIECES, 3 * self.call.lanes), self.ket.dtype)
        for bit in range(self.flat.n_qubits - 1, -1, -1):
            step = self.flat.layout.product[bit]

            def run(piece: int, first: int, last: int, step: int = step, bit: int = bit) -> None:
                states.shrink_product(
                    step, bit, first, last, slots, self.matrices, self.ket, bra, sums[piece], self.shape
                )

            n_pieces = _each(run, 1 << bit)
            for piece in range(n_pieces if step >= 0 else 0):
                tiles.add_gradients(step, slots, sums[piece], 0, parts[piece], self.shape[0])
