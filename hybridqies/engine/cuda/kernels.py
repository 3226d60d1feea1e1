"""Plans on a CUDA device: the `Kernels` of the table of devices, by the compiled kernels of a card.

Small states stay in a thread block's shared memory: a forward pass is one launch, a backward pass two.
Larger ones go through it coset by coset, one launch for each block of the plan, as on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hybridqies.engine.cuda.call import Call, PlanOnCard, address
from hybridqies.engine.cuda.card import Card, Launch
from hybridqies.engine.cuda.schedule import memory_windows, schedule
from hybridqies.engine.cuda.shapes import Shape, choose_shape
from hybridqies.engine.plan import Plan

# Gradients of rotations, or matrices and slopes of steps, in memory at a time; a batch or a plan with more
# goes in parts.
_MOST_BYTES = 2**28
_GATHER_THREADS = 128
_FLAT_THREADS = 128


@dataclass(eq=False)
class _Run:
    """One call on a card: its plan there, its inputs as the kernels read them, and its shape."""

    card: Card
    plan: Plan
    on_card: PlanOnCard
    shape: Shape
    features: Tensor
    weights: Tensor
    amplitudes: Tensor | None

    @property
    def batch(self) -> int:
        return len(self.features)

    def rows(self, first: int, last: int) -> _Run:
        """The same with some of the samples."""
        weights = self.weights[first:last] if self.weights.dim() == 2 else self.weights
        amplitudes = None if self.amplitudes is None else self.amplitudes[first:last]
        return _Run(
            self.card, self.plan, self.on_card, self.shape, self.features[first:last], weights, amplitudes
        )

    def call(self, **given: Any) -> Call:
        """The structure of a launch; further fields by name, tensors as such."""
        shape = self.shape
        fields = {
            "features": self.features,
            "weights": self.weights,
            "amplitudes": self.amplitudes,
            "given_planes": 0 if self.amplitudes is None else 1 + (self.amplitudes.dim() == 3),
            "batch": self.batch,
            "log_samples": shape.log_samples,
            "window_rows": shape.window_rows,
            "cells": shape.cells,
            "pieces": 1 if shape.is_whole else shape.pieces(self.batch),
            **given,
        }
        return Call(**{k: address(v) if isinstance(v, Tensor) else v for k, v in fields.items()})

    def launch(self, name: str, call: Call, states: int) -> None:
        """Starts a kernel on the call's samples and pieces, with room for `states` states each."""
        grid = (-(-self.batch >> self.shape.log_samples), int(call.pieces))
        launch = Launch(grid, self.shape.threads, self.shape.shared_bytes(states))
        self.card.launch(self.shape.variant, name, launch, self.on_card.tables, call)

    def launch_flat(self, name: str, call: Call, count: int) -> None:
        """Starts a kernel with a thread for each of `count` things, if there are any."""
        if not count:
            return
        grid = (-(-count // _FLAT_THREADS), 1)
        launch = Launch(grid, _FLAT_THREADS, 0)
        self.card.launch(self.shape.variant, name, launch, self.on_card.tables, call)

    def empty_states(self) -> Tensor:
        """Room for a state of every sample."""
        planes = self.shape.variant.planes
        return self.features.new_empty(self.batch, 1 << self.plan.n_qubits, planes)


Kept = tuple[_Run, Tensor]


class CudaKernels:
    """Satisfies `Kernels`; `open_card` gives the card of a device, and is called once for each."""

    def __init__(self, open_card: Callable[[torch.device], Card] = Card.open) -> None:
        self._open_card = open_card
        self._cards: dict[torch.device, Card] = {}

    def forward(
        self, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, *, keep: bool
    ) -> tuple[Tensor, Kept | None]:
        """Expectations (B, M) and, if `backward` is to follow, the call and its final states."""
        run = self._run(plan, features, weights, amplitudes)
        values = run.features.new_empty(run.batch, len(plan.flat.layout.observables))
        states = run.empty_states() if keep or not run.shape.is_whole else None
        if run.batch:
            _run_forward(run, states, values)
        return values, (run, states) if keep and states is not None else None

    def backward(
        self, kept: Kept, gradients: Tensor, *, wants_amplitudes: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gradients of a loss for the inputs, from those for ⟨P⟩ (B, M); the kept states are used up."""
        run, states = kept
        of_values = gradients.detach().resolve_conj().resolve_neg().contiguous()
        of_features, of_weights = torch.empty_like(run.features), torch.zeros_like(run.weights)
        bras = run.empty_states() if run.batch and (wants_amplitudes or not run.shape.is_whole) else None
        at_once = max(1, _MOST_BYTES // (8 * max(1, run.on_card.part.n_turns)))
        for first in range(0, run.batch, at_once):
            rows = slice(first, first + at_once)
            part = run.rows(first, first + at_once)
            bra = None if bras is None else bras[rows]
            turns = _run_backward(part, states[rows], bra, of_values[rows], wants_amplitudes)
            into = of_weights[rows] if of_weights.dim() == 2 else torch.empty_like(of_weights)
            _gather(part, turns, of_features[rows], into)
            if of_weights.dim() == 1:
                of_weights += into
        return of_features, of_weights, _of_amplitudes(run, bras) if wants_amplitudes else None

    def final_states(
        self, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, places: Tensor
    ) -> Tensor:
        """Final states (B, 2**n), where basis state x is the amplitude stored at places[x]."""
        run = self._run(plan, features, weights, amplitudes)
        states = run.empty_states()
        if run.batch:
            _run_forward(run, states, None)
        ordered = states[:, places.to(states.device)]
        return ordered[..., 0] if plan.is_real else torch.view_as_complex(ordered)

    def count_states(self, plan: Plan, batch: int, itemsize: int) -> int:  # noqa: ARG002
        """The largest number of states in memory at a time in a forward and backward pass."""
        # The final states, and a bra for each where shared memory does not hold it.
        return 2 * batch

    def all_finite(self, features: Tensor, weights: Tensor) -> bool:
        """Whether inputs hold neither NaN nor infinity."""
        return bool(features.isfinite().all() & weights.isfinite().all())

    def _run(self, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> _Run:
        device = features.device
        if device not in self._cards:
            self._cards[device] = self._open_card(device)
        card = self._cards[device]
        features, weights = _plain(features), _plain(weights)
        shape = choose_shape(
            plan.n_qubits,
            1 if plan.is_real else 2,
            is_double=features.dtype == torch.float64,
            shared_bytes=card.shared_bytes,
        )
        n_weights = weights.shape[-1]
        key = (device, shape, n_weights)
        if key not in plan.prepared:
            part = schedule(plan, n_weights, shape.width, shape.variant.held, shape.window_rows)
            plan.prepared[key] = PlanOnCard(plan, part, n_weights, device)
        return _Run(card, plan, plan.prepared[key], shape, features, weights, _planes_of(amplitudes))


def _plain(tensor: Tensor) -> Tensor:
    """The numbers in row order, as the kernels read them; a copy only where they lie otherwise."""
    return tensor.detach().resolve_conj().resolve_neg().contiguous()


def _planes_of(amplitudes: Tensor | None) -> Tensor | None:
    if amplitudes is None:
        return None
    plain = _plain(amplitudes)
    return torch.view_as_real(plain) if plain.is_complex() else plain


def _of_amplitudes(run: _Run, bras: Tensor | None) -> Tensor | None:
    if run.amplitudes is None:
        return None
    if bras is None:
        gradients = torch.empty_like(run.amplitudes)
    else:
        gradients = 2 * (bras if run.amplitudes.dim() == 3 else bras[..., 0])
    return torch.view_as_complex(gradients) if gradients.dim() == 3 else gradients


def _run_forward(run: _Run, states: Tensor | None, values: Tensor | None) -> None:
    """Final states into `states`, ⟨P⟩ into `values`."""
    first = run.on_card.part.block_first
    if run.shape.is_whole:
        call = run.call(states=states, values=values, starts=1, last_window=first[1])
        run.launch("forward", call, 1)
        return
    for blocks, rows, matrices in _memory_windows(run):
        for block in blocks:
            call = run.call(states=states, matrices=matrices, starts=block == 0, **_place(run, block), **rows)
            run.launch("forward", call, 1)
    if values is None:
        return
    n_observables = values.shape[1]
    parts = values.new_empty(run.shape.pieces(run.batch), run.batch, n_observables, dtype=torch.float64)
    run.launch("measure_pieces", run.call(states=states, partial_values=parts), 1)
    values.copy_(parts.sum(dim=0))


def _run_backward(
    run: _Run, states: Tensor, bras: Tensor | None, of_values: Tensor, wants_amplitudes: bool
) -> Tensor:
    """The gradient of every rotation by an input (rotations, B); uses up the states."""
    part = run.on_card.part
    turns = run.features.new_empty(max(1, part.n_turns), run.batch, dtype=torch.float64)
    if run.shape.is_whole:
        call = run.call(
            states=states, bras=bras, of_values=of_values, of_turns=turns, is_last=1,
            last_window=part.block_first[1],
        )  # fmt: skip
        run.launch("backward", call, 2)
        return turns
    run.launch("start_bras", run.call(states=states, bras=bras, of_values=of_values), 0)
    for blocks, rows, matrices in reversed(list(_memory_windows(run, fill=False))):
        _fill(run, rows, matrices)
        slopes = matrices.new_empty(
            3 * (rows["last_row"] - rows["first_row"]), run.shape.pieces(run.batch), run.batch
        )
        for block in reversed(blocks):
            call = run.call(
                states=states, bras=bras, matrices=matrices, slopes=slopes,
                is_last=block == 0 and not wants_amplitudes, **_place(run, block), **rows,
            )  # fmt: skip
            run.launch("backward", call, 2)
        count = (rows["last_row"] - rows["first_row"]) * run.batch
        run.launch_flat("chain_slopes", run.call(slopes=slopes, of_turns=turns, **rows), count)
    return turns


def _place(run: _Run, block: int) -> dict[str, int]:
    first = run.on_card.part.block_first
    return {"block": block, "first_window": first[block], "last_window": first[block + 1]}


def _memory_windows(run: _Run, *, fill: bool = True) -> Iterator[tuple[range, dict[str, int], Tensor]]:
    """Runs of blocks, their rows, and room for the matrices of these, which is the same for all."""
    part, variant = run.on_card.part, run.shape.variant
    numbers = run.batch * (4 * variant.planes + 3 * run.shape.pieces(run.batch))
    most_rows = _MOST_BYTES // (numbers * run.features.element_size())
    windows = memory_windows(part, most_rows)
    most = max(part.row_first[last] - part.row_first[first] for first, last in windows)
    matrices = run.features.new_empty(max(1, most), run.batch, 4, variant.planes)
    for first, last in windows:
        rows = {"first_row": part.row_first[first], "last_row": part.row_first[last]}
        if fill:
            _fill(run, rows, matrices)
        yield range(first, last), rows, matrices


def _fill(run: _Run, rows: dict[str, int], matrices: Tensor) -> None:
    count = (rows["last_row"] - rows["first_row"]) * run.batch
    run.launch_flat("fill_matrices", run.call(matrices=matrices, **rows), count)


def _gather(run: _Run, turns: Tensor, of_features: Tensor, of_weights: Tensor) -> None:
    """The gradients of inputs from those of the rotations that use them."""
    n_inputs = of_features.shape[1] + of_weights.shape[-1]
    if not n_inputs:
        return
    call = run.call(of_turns=turns, of_features=of_features, of_weights=of_weights)
    launch = Launch((n_inputs, 1), _GATHER_THREADS, 8 * _GATHER_THREADS)
    run.card.launch(run.shape.variant, "gather_inputs", launch, run.on_card.tables, call)
