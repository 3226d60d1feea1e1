"""Plans on a CUDA device: the `Kernels` of the table of devices, by the compiled kernels of a card.

Small states stay in a thread block's shared memory: a forward pass is one launch, a backward pass two.
Larger ones go through it coset by coset, one launch for each block of the plan, as on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hybridqies.engine.cuda.call import Call, PlanOnCard
from hybridqies.engine.cuda.card import Card, Launch
from hybridqies.engine.cuda.checks import check_tensors, check_weights
from hybridqies.engine.cuda.schedule import Schedule, memory_windows
from hybridqies.engine.cuda.shapes import Shape, choose_shape
from hybridqies.engine.plan import Plan

# Gradients of rotations, or matrices and slopes of steps, in memory at a time; a batch or a plan with more
# goes in parts.
_MOST_BYTES = 2**28
_GATHER_THREADS = 128
_FLAT_THREADS = 128


@dataclass(eq=False, slots=True)
class _Run:
    """One call on a card: its plan there, and its inputs as the kernels read them."""

    card: Card
    on_card: PlanOnCard
    features: Tensor
    weights: Tensor
    amplitudes: Tensor | None
    batch: int

    @property
    def shape(self) -> Shape:
        return self.on_card.shape

    def rows(self, first: int, last: int) -> _Run:
        """The same with some of the samples."""
        features = self.features[first:last]
        weights = self.weights[first:last] if self.weights.dim() == 2 else self.weights
        amplitudes = None if self.amplitudes is None else self.amplitudes[first:last]
        return _Run(self.card, self.on_card, features, weights, amplitudes, len(features))

    def call(self, **given: Tensor | int | None) -> Call:
        """The structure of a launch, with further fields by name."""
        call = self.on_card.call(features=self.features, weights=self.weights, batch=self.batch, **given)
        if self.amplitudes is not None:
            call.amplitudes = self.amplitudes.data_ptr()
            call.given_planes = 2 if self.amplitudes.dim() == 3 else 1
        if not self.shape.is_whole:
            call.pieces = self.shape.pieces(self.batch)
        return call

    def launch(self, name: str, call: Call, states: int) -> None:
        """Starts a kernel on the call's samples and pieces, with room for `states` states each."""
        shape = self.shape
        grid = (-(-self.batch >> shape.log_samples), call.pieces)
        self._launch(name, call, Launch(grid, shape.threads, shape.shared_bytes[states]))

    def launch_flat(self, name: str, call: Call, count: int) -> None:
        """Starts a kernel with a thread for each of `count` things, if there are any."""
        if count:
            self._launch(name, call, Launch((-(-count // _FLAT_THREADS), 1), _FLAT_THREADS, 0))

    def gather(self, call: Call, n_inputs: int) -> None:
        """Starts the kernel that has a thread block for each input."""
        self._launch("gather_inputs", call, Launch((n_inputs, 1), _GATHER_THREADS, 8 * _GATHER_THREADS))

    def _launch(self, name: str, call: Call, launch: Launch) -> None:
        self.card.launch(self.shape.variant, name, launch, self.on_card.tables, call)

    def empty_states(self) -> Tensor:
        """Room for a state of every sample."""
        n_qubits, planes = self.shape.n_qubits, self.shape.variant.planes
        return self.features.new_empty(self.batch, 1 << n_qubits, planes)


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
        of_features, of_weights = torch.empty_like(run.features), torch.empty_like(run.weights)
        bras = run.empty_states() if run.batch and (wants_amplitudes or not run.shape.is_whole) else None
        at_once = max(1, _MOST_BYTES // (8 * max(1, run.on_card.part.n_turns)))
        if not run.batch:
            of_weights.zero_()
        elif run.batch <= at_once:
            turns = _run_backward(run, states, bras, of_values)
            _gather(run, turns, of_features, of_weights)
        else:
            _run_backward_in_parts(run, at_once, (states, bras, of_values), of_features, of_weights)
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
        check_tensors(plan, features, weights, amplitudes)
        device = features.device
        if device not in self._cards:
            self._cards[device] = self._open_card(device)
        card = self._cards[device]
        features, weights = _plain(features), _plain(weights)
        is_double, n_weights = features.dtype == torch.float64, weights.shape[-1]
        key = (card, plan.is_real, is_double, n_weights)
        on_card = plan.prepared.get(key)
        if on_card is None:
            check_weights(plan, n_weights)
            planes = 1 if plan.is_real else 2
            shape = choose_shape(plan.n_qubits, planes, is_double=is_double, shared_bytes=card.shared_bytes)
            on_card = plan.prepared[key] = PlanOnCard(plan, shape, n_weights, device)
        return _Run(card, on_card, features, weights, _planes_of(amplitudes), len(features))


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
    part = run.on_card.part
    if run.shape.is_whole:
        windows = {"first_window": part.block_first[part.n_product], "last_window": part.block_first[-1]}
        call = run.call(states=states, values=values, starts=1, **windows)
        run.launch("forward", call, 1)
        return
    for blocks, rows, matrices in _memory_windows(run, part.n_product):
        _fill(run, rows, matrices)
        for block in blocks:
            given = {"starts": block == part.n_product, **_place(part, block), **rows}
            run.launch("forward", run.call(states=states, matrices=matrices, **given), 1)
    if values is None:
        return
    n_observables = values.shape[1]
    parts = values.new_empty(run.shape.pieces(run.batch), run.batch, n_observables, dtype=torch.float64)
    run.launch("measure_pieces", run.call(states=states, partial_values=parts), 1)
    values.copy_(parts.sum(dim=0))


def _run_backward_in_parts(
    run: _Run,
    at_once: int,
    of_run: tuple[Tensor, Tensor | None, Tensor],
    of_features: Tensor,
    of_weights: Tensor,
) -> None:
    """The gradients of inputs, some samples at a time; `of_run` is states, bras and gradients of values."""
    states, bras, of_values = of_run
    is_shared = of_weights.dim() == 1
    of_weights.zero_()
    for first in range(0, run.batch, at_once):
        rows = slice(first, first + at_once)
        part, bra = run.rows(first, first + at_once), None if bras is None else bras[rows]
        turns = _run_backward(part, states[rows], bra, of_values[rows])
        into = torch.empty_like(of_weights) if is_shared else of_weights[rows]
        _gather(part, turns, of_features[rows], into)
        if is_shared:
            of_weights += into


def _run_backward(run: _Run, states: Tensor, bras: Tensor | None, of_values: Tensor) -> Tensor:
    """The gradient of every rotation by an input (rotations, B); uses up the states."""
    part = run.on_card.part
    turns = run.features.new_empty(max(1, part.n_turns), run.batch, dtype=torch.float64)
    if run.shape.is_whole:
        last = {"last_window": part.block_first[-1], "keeps_bra": bras is not None}
        call = run.call(states=states, bras=bras, of_values=of_values, of_turns=turns, **last)
        run.launch("backward", call, 2)
        return turns
    run.launch("start_bras", run.call(states=states, bras=bras, of_values=of_values), 0)
    windows = _memory_windows(run, 0)
    # One array for all windows: two at a time would be twice the memory.
    slopes = run.features.new_empty(3 * len(windows[0][2]), run.shape.pieces(run.batch), run.batch)
    for blocks, rows, matrices in reversed(windows):
        _fill(run, rows, matrices)
        n_rows = rows["last_row"] - rows["first_row"]
        for block in reversed(blocks):
            # Nothing is undone in the blocks of the product state.
            keeps = block >= part.n_product
            given = {"keeps_ket": keeps, "keeps_bra": keeps, **_place(part, block), **rows}
            call = run.call(states=states, bras=bras, matrices=matrices, slopes=slopes, **given)
            run.launch("backward", call, 2)
        call = run.call(slopes=slopes, of_turns=turns, **rows)
        run.launch_flat("chain_slopes", call, n_rows * run.batch)
    return turns


def _place(part: Schedule, block: int) -> dict[str, int]:
    first = part.block_first
    return {"block": block, "first_window": first[block], "last_window": first[block + 1]}


def _memory_windows(run: _Run, first_block: int) -> list[tuple[range, dict[str, int], Tensor]]:
    """Runs of blocks, their rows, and room for the matrices of these, which is the same for all."""
    part, variant = run.on_card.part, run.shape.variant
    numbers = run.batch * (4 * variant.planes + 3 * run.shape.pieces(run.batch))
    most_rows = _MOST_BYTES // (numbers * run.features.element_size())
    windows = memory_windows(part, first_block, most_rows)
    rows = [(part.row_first[first], part.row_first[last]) for first, last in windows]
    most = max(last - first for first, last in rows)
    matrices = run.features.new_empty(max(1, most), run.batch, 4, variant.planes)
    return [
        (range(*window), {"first_row": first, "last_row": last}, matrices)
        for window, (first, last) in zip(windows, rows, strict=True)
    ]


def _fill(run: _Run, rows: dict[str, int], matrices: Tensor) -> None:
    count = (rows["last_row"] - rows["first_row"]) * run.batch
    run.launch_flat("fill_matrices", run.call(matrices=matrices, **rows), count)


def _gather(run: _Run, turns: Tensor, of_features: Tensor, of_weights: Tensor) -> None:
    """The gradients of inputs from those of the rotations that use them."""
    n_inputs = of_features.shape[1] + of_weights.shape[-1]
    if n_inputs:
        run.gather(run.call(of_turns=turns, of_features=of_features, of_weights=of_weights), n_inputs)
