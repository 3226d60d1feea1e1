"""Passes over a tile too large for a core's cache: cut into pieces that all threads share.

A pass is cut into the same pieces whatever the number of threads, and what the
pieces add up is summed in their order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from hybridqies.engine import states, tiles
from hybridqies.engine.call import Call, Slopes
from hybridqies.engine.coefficients import batched_matrices, shared_matrices
from hybridqies.engine.tables import Array
from hybridqies.engine.workers import each_part

PIECES = 16
# Rows below which a pass is one piece.
_SMALL = 2**12


def forward(call: Call, kept: Array, values: Array) -> None:
    """Final states of all tiles into `kept` (tiles, or 1 for all in turn), ⟨P⟩ into `values` (B, M)."""
    angles, shared = shared_matrices(call.plan.tables, call.weights, len(call.planes), call.features)
    for at in range(call.n_tiles):
        tile = _Tile(call, at, angles, shared)
        tile.forward(kept[at if len(kept) > 1 else 0])
        tiles.write_values(tile.measure(), tile.start, values)


def backward(call: Call, kept: Array, gradients: Array, slopes: Slopes) -> None:
    """Takes every tile from its final state in `kept` back to the slopes of its inputs."""
    angles, shared = shared_matrices(call.plan.tables, call.weights, len(call.planes), call.features)
    bra = np.empty_like(kept[0])
    for at in range(call.n_tiles):
        tile = _Tile(call, at, angles, shared)
        tile.ket = kept[at]
        of_shared, of_batched = tile.backward(
            bra, tiles.tile_weights(gradients, tile.start, len(call.lanes)), slopes
        )
        tiles.finish_tile(
            call.plan.tables,
            call.features,
            call.weights,
            tile.start,
            angles,
            tile.angles,
            of_shared,
            of_batched,
            slopes.of_angles[at],
            slopes.of_features,
            slopes.of_weights,
        )


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

    def __init__(self, call: Call, at: int, shared_angles: Array, shared: Array) -> None:
        self.call, self.plan, self.start = call, call.plan, at * len(call.lanes)
        self.angles, batched = batched_matrices(
            call.plan.tables, call.features, call.weights, self.start, shared_angles, *call.tile_sizes()
        )
        self.matrices = (shared, batched)
        self.shapes = (call.lanes, call.planes)
        self.ket = np.empty(0)

    def forward(self, ket: Array) -> None:
        """Writes the final state into `ket`."""
        self.ket = ket
        if len(self.plan.layout.product):
            tiles.start_zero(ket, *self.shapes, 0)
            for bit in range(self.plan.n_qubits):
                self._grow(bit, 0, 0)
        else:
            self._load()
        for block in range(len(self.plan.layout.block_first) - 1):
            self._through(block)

    def measure(self) -> Array:
        """⟨P⟩ (M, lanes) of the ket."""
        observables = self.plan.layout.observables
        parts = np.zeros((PIECES, len(observables), len(self.call.lanes)), np.float64)

        def run(piece: int, first: int, last: int) -> None:
            states.measure(observables, first, last, self.ket, parts[piece], *self.shapes)

        _each(run, 1 << self.plan.n_qubits)
        return np.asarray(parts.sum(axis=0))

    def backward(self, bra: Array, weights: Array, slopes: Slopes) -> tuple[Array, Array]:
        """The slopes of shared (steps, 3) and batched steps (steps, 3, lanes); uses up ket and `bra`."""
        tables, layout = self.plan.tables, self.plan.layout
        n_batched = len(tables.step_slot) - tables.n_shared_steps
        of_shared = np.zeros((PIECES, tables.n_shared_steps, 3), np.float64)
        of_batched = np.zeros((PIECES, n_batched, 3, len(self.call.lanes)), np.float64)

        def start(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.start_bra(layout.observables, first, last, weights, self.ket, bra, *self.shapes)

        _each(start, 1 << self.plan.n_qubits)
        for block in range(len(layout.block_first) - 2, -1, -1):
            self._back_through(block, bra, of_shared, of_batched)
        if len(layout.product):
            self._unwind(bra, of_shared, of_batched)
        else:
            self._store(bra, slopes.of_amplitudes)
        return np.asarray(of_shared.sum(axis=0)), np.asarray(of_batched.sum(axis=0))

    def _load(self) -> None:
        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.load_amplitudes(
                self.call.amplitudes, self.start, first, last, self.ket, *self.call.tile_sizes()
            )

        _each(run, 1 << self.plan.n_qubits)

    def _store(self, bra: Array, into: Array) -> None:
        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.store_amplitudes(into, self.start, first, last, bra, *self.call.tile_sizes())

        _each(run, 1 << self.plan.n_qubits)

    def _cosets(self) -> int:
        return 1 << (self.plan.n_qubits - self.plan.layout.basis.shape[1])

    def _through(self, block: int) -> None:
        plan = self.plan

        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            tiles.block_forward(
                plan.tables,
                plan.layout,
                plan.n_qubits,
                block,
                first,
                last,
                *self.matrices,
                self.ket,
                *self.shapes,
            )

        _each(run, self._cosets(), PIECES)

    def _back_through(self, block: int, bra: Array, of_shared: Array, of_batched: Array) -> None:
        plan = self.plan

        def run(piece: int, first: int, last: int) -> None:
            tiles.block_backward(
                plan.tables,
                plan.layout,
                plan.n_qubits,
                block,
                first,
                last,
                *self.matrices,
                self.ket,
                bra,
                of_shared[piece],
                of_batched[piece],
                *self.shapes,
            )

        _each(run, self._cosets(), PIECES)

    def _grow(self, bit: int, source: int, target: int) -> None:
        step, slots = self.plan.layout.product[bit], self.plan.tables.step_slot

        def run(piece: int, first: int, last: int) -> None:  # noqa: ARG001
            states.grow_product(
                step, bit, first, last, source, target, slots, *self.matrices, self.ket, *self.shapes
            )

        _each(run, 1 << bit)

    def _unwind(self, bra: Array, of_shared: Array, of_batched: Array) -> None:
        slots, width = self.plan.tables.step_slot, len(self.call.lanes)
        tiles.start_zero(self.ket, *self.shapes, 1)
        for bit in range(self.plan.n_qubits - 1):
            self._grow(bit, 1 << bit, 2 << bit)
        sums = np.empty((PIECES, 3 * width), self.ket.dtype)
        for bit in range(self.plan.n_qubits - 1, -1, -1):
            step = self.plan.layout.product[bit]

            def run(piece: int, first: int, last: int, step: int = step, bit: int = bit) -> None:
                states.shrink_product(
                    step, bit, first, last, slots, *self.matrices, self.ket, bra, sums[piece], *self.shapes
                )

            n_pieces = _each(run, 1 << bit)
            for piece in range(n_pieces if step >= 0 else 0):
                tiles.add_slopes(step, slots, sums[piece], 0, of_shared[piece], of_batched[piece], width)
