"""CPU kernels: a tile of samples walks the whole program in one compiled call, samples innermost.

A tile holds `LANES` samples of a state as (2**n, lanes), so that the innermost
loop runs over samples and vectorises. Tiles have a fixed width (the last one is
filled up with lanes that count for nothing) and their partial sums are added in
a fixed order: results do not depend on threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from hybridqies.engine.program import MIX_TWO, PERMUTE, Pools, Program

LANES = 8
Array = npt.NDArray[np.generic]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _base_row(k: int, low: int, high: int) -> int:
    row = ((k >> low) << (low + 1)) | (k & ((1 << low) - 1))
    if high >= 0:
        row = ((row >> high) << (high + 1)) | (row & ((1 << high) - 1))
    return row


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _swap_rows(op, state):  # type: ignore[no-untyped-def]
    count = state.shape[0] >> (1 if op[2] < 0 else 2)
    for k in range(count):
        base = _base_row(k, op[1], op[2])
        first, second = base + op[6], base + op[7]
        for b in range(state.shape[1]):
            kept = state[first, b]
            state[first, b] = state[second, b]
            state[second, b] = kept


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mix_two(op, m, state):  # type: ignore[no-untyped-def]
    count = state.shape[0] >> (1 if op[2] < 0 else 2)
    m00, m01, m10, m11 = m[0, 0], m[0, 1], m[1, 0], m[1, 1]
    for k in range(count):
        base = _base_row(k, op[1], op[2])
        first, second = state[base + op[6]], state[base + op[7]]
        for b in range(LANES):
            s0, s1 = first[b], second[b]
            first[b] = m00[b] * s0 + m01[b] * s1
            second[b] = m10[b] * s0 + m11[b] * s1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mix_four(op, m, state):  # type: ignore[no-untyped-def]
    count = state.shape[0] >> 2
    for k in range(count):
        base = _base_row(k, op[1], op[2])
        r0, r1, r2, r3 = base + op[6], base + op[7], base + op[8], base + op[9]
        for b in range(state.shape[1]):
            s0, s1, s2, s3 = state[r0, b], state[r1, b], state[r2, b], state[r3, b]
            state[r0, b] = m[0, 0, b] * s0 + m[0, 1, b] * s1 + m[0, 2, b] * s2 + m[0, 3, b] * s3
            state[r1, b] = m[1, 0, b] * s0 + m[1, 1, b] * s1 + m[1, 2, b] * s2 + m[1, 3, b] * s3
            state[r2, b] = m[2, 0, b] * s0 + m[2, 1, b] * s1 + m[2, 2, b] * s2 + m[2, 3, b] * s3
            state[r3, b] = m[3, 0, b] * s0 + m[3, 1, b] * s1 + m[3, 2, b] * s2 + m[3, 3, b] * s3


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _outer_two(op, bra, state, into):  # type: ignore[no-untyped-def]
    """Adds bra_i * state_j over the two rows that a gate mixes, lane by lane."""
    into[:] = 0
    i00, i01, i10, i11 = into[0, 0], into[0, 1], into[1, 0], into[1, 1]
    count = state.shape[0] >> (1 if op[2] < 0 else 2)
    for k in range(count):
        base = _base_row(k, op[1], op[2])
        first, second = base + op[6], base + op[7]
        s0, s1, l0, l1 = state[first], state[second], bra[first], bra[second]
        for b in range(LANES):
            i00[b] += l0[b] * s0[b]
            i01[b] += l0[b] * s1[b]
            i10[b] += l1[b] * s0[b]
            i11[b] += l1[b] * s1[b]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _outer_four(op, bra, state, into):  # type: ignore[no-untyped-def]
    """`_outer_two` for a gate that mixes four rows."""
    into[:] = 0
    for k in range(state.shape[0] >> 2):
        base = _base_row(k, op[1], op[2])
        for i in range(4):
            for j in range(4):
                for b in range(state.shape[1]):
                    into[i, j, b] += bra[base + op[6 + i], b] * state[base + op[6 + j], b]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _load(op, shared, batched, start, into):  # type: ignore[no-untyped-def]
    for i in range(into.shape[0]):
        for j in range(into.shape[1]):
            for b in range(into.shape[2]):
                if not op[4]:
                    into[i, j, b] = shared[op[3], i, j]
                else:
                    into[i, j, b] = batched[op[3], min(start + b, batched.shape[1] - 1), i, j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _load_transposed(op, shared, batched, start, into):  # type: ignore[no-untyped-def]
    for i in range(into.shape[0]):
        for j in range(into.shape[1]):
            for b in range(into.shape[2]):
                if not op[4]:
                    into[i, j, b] = shared[op[3], j, i]
                else:
                    into[i, j, b] = batched[op[3], min(start + b, batched.shape[1] - 1), j, i]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sign(bits: int) -> int:
    parity = 0
    while bits:
        parity ^= 1
        bits &= bits - 1
    return 1 - 2 * parity


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def run_forward(rows, shared2, batched2, shared4, batched4, start, state):  # type: ignore[no-untyped-def]
    """Applies the program to one tile, in place; `start` is the tile's first sample."""
    two = np.empty((2, 2, state.shape[1]), state.dtype)
    four = np.empty((4, 4, state.shape[1]), state.dtype)
    for at in range(rows.shape[0]):
        op = rows[at]
        if op[0] == PERMUTE:
            _swap_rows(op, state)
        elif op[0] == MIX_TWO:
            _load(op, shared2, batched2, start, two)
            _mix_two(op, two, state)
        else:
            _load(op, shared4, batched4, start, four)
            _mix_four(op, four, state)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def run_observables(observables, phases, state, conjugate, values):  # type: ignore[no-untyped-def]
    """Writes each ⟨P⟩ of one tile into `values` (M, lanes); `conjugate` is the state's conjugate."""
    for m in range(observables.shape[0]):
        x_mask, z_mask = observables[m, 0], observables[m, 1]
        for b in range(state.shape[1]):
            values[m, b] = 0
        for i in range(state.shape[0]):
            factor = phases[m] * _sign(i & z_mask)
            for b in range(state.shape[1]):
                values[m, b] += (factor * conjugate[i ^ x_mask, b] * state[i, b]).real


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def run_bra(observables, phases, gradients, conjugate, bra):  # type: ignore[no-untyped-def]
    """Writes the conjugate of sum_m g_m P_m |state⟩ of one tile into `bra`; `gradients` is (M, lanes)."""
    bra[:] = 0
    for m in range(observables.shape[0]):
        x_mask, z_mask = observables[m, 0], observables[m, 1]
        for i in range(conjugate.shape[0]):
            factor = phases[m] * _sign(i & z_mask)
            for b in range(conjugate.shape[1]):
                bra[i ^ x_mask, b] += factor * gradients[m, b] * conjugate[i, b]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def run_backward(  # type: ignore[no-untyped-def]
    rows, forward2, forward_b2, forward4, forward_b4, adjoint2, adjoint_b2, adjoint4, adjoint_b4, start, state, bra, g2, gb2, g4, gb4
):
    """Walks the program backwards over one tile: uncomputes `state`, carries `bra`, collects gradients.

    With bra the conjugate of the adjoint state, a gate's matrix U has the
    gradient dL = Re sum_ij 2 bra_i state_j dU_ij, taken before the gate; then
    bra becomes U^T bra. Nothing is stored per gate (arXiv:2009.02823).
    """
    lanes = state.shape[1]
    two = np.empty((2, 2, lanes), state.dtype)
    four = np.empty((4, 4, lanes), state.dtype)
    for at in range(rows.shape[0] - 1, -1, -1):
        op = rows[at]
        if op[0] == PERMUTE:
            _swap_rows(op, state)
            _swap_rows(op, bra)
        elif op[0] == MIX_TWO:
            _load(op, adjoint2, adjoint_b2, start, two)
            _mix_two(op, two, state)
            if op[5]:
                _outer_two(op, bra, state, two)
                _collect(op, two, start, g2, gb2)
            _load_transposed(op, forward2, forward_b2, start, two)
            _mix_two(op, two, bra)
        else:
            _load(op, adjoint4, adjoint_b4, start, four)
            _mix_four(op, four, state)
            if op[5]:
                _outer_four(op, bra, state, four)
                _collect(op, four, start, g4, gb4)
            _load_transposed(op, forward4, forward_b4, start, four)
            _mix_four(op, four, bra)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _collect(op, products, start, shared, batched):  # type: ignore[no-untyped-def]
    for i in range(products.shape[0]):
        for j in range(products.shape[1]):
            for b in range(products.shape[2]):
                if not op[4]:
                    shared[op[3], i, j] += 2 * products[i, j, b]
                elif start + b < batched.shape[1]:
                    batched[op[3], start + b, i, j] = 2 * products[i, j, b]


def forward(program: Program, pools: Pools, amplitudes: Tensor | None, batch: int) -> tuple[Tensor, Tensor]:
    """Expectations (B, M) and the final state (B, 2**n) of a batch."""
    arrays = [_array(pool) for pool in pools]
    kind = arrays[0].dtype
    final = np.empty((batch, 2**program.n_qubits), kind)
    values = np.empty((batch, len(program.observables)), kind.type(0).real.dtype)
    source = None if amplitudes is None else _array(amplitudes)
    phases = _phases(program, kind)

    def run(start: int) -> None:
        end = min(start + LANES, batch)
        tile = np.zeros((2**program.n_qubits, LANES), kind)
        if source is None:
            tile[0] = 1
        else:
            tile[:, : end - start] = source[start:end].T
        run_forward(program.rows, *arrays, start, tile)
        out = np.empty((values.shape[1], LANES), values.dtype)
        run_observables(program.observables, phases, tile, tile.conj(), out)
        values[start:end] = out.T[: end - start]
        final[start:end] = tile.T[: end - start]

    _each_tile(run, batch)
    return torch.from_numpy(values), torch.from_numpy(final)


def backward(program: Program, pools: Pools, final: Tensor, gradients: Tensor) -> tuple[Tensor, Pools]:
    """Gradients of a loss for the amplitudes (B, 2**n) and for every matrix, from those for expectations (B, M)."""
    forwards = [_array(pool) for pool in pools]
    adjoints = [np.ascontiguousarray(array.conj().swapaxes(-1, -2)) for array in forwards]
    states, slopes = _array(final), _array(gradients)
    batch, kind = states.shape[0], states.dtype
    starts = list(range(0, batch, LANES))
    shared2 = np.zeros((len(starts), *forwards[0].shape), kind)
    shared4 = np.zeros((len(starts), *forwards[2].shape), kind)
    batched2, batched4 = np.zeros_like(forwards[1]), np.zeros_like(forwards[3])
    amplitudes = np.empty_like(states)
    phases = _phases(program, kind).conj()

    def run(start: int) -> None:
        end = min(start + LANES, batch)
        at = start // LANES
        state = np.zeros((2**program.n_qubits, LANES), kind)
        state[:, : end - start] = states[start:end].T
        bra = np.empty_like(state)
        slope = np.zeros((slopes.shape[1], LANES), slopes.dtype)
        slope[:, : end - start] = slopes[start:end].T
        run_bra(program.observables, phases, slope, state.conj(), bra)
        run_backward(
            program.rows, *forwards, *adjoints, start, state, bra, shared2[at], batched2, shared4[at], batched4
        )
        amplitudes[start:end] = 2 * bra.T[: end - start]

    _each_tile(run, batch)
    grads = (shared2.sum(axis=0), batched2, shared4.sum(axis=0), batched4)
    # Torch's gradient of a real loss for a complex number is the conjugate of dL/dz.
    return torch.from_numpy(amplitudes.conj()), Pools(*(torch.from_numpy(grad.conj()) for grad in grads))


def _each_tile(run, batch: int) -> None:  # type: ignore[no-untyped-def]
    starts = range(0, batch, LANES)
    threads = min(torch.get_num_threads(), len(starts))
    if threads <= 1:
        for start in starts:
            run(start)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, starts))


def _array(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().numpy())


def _phases(program: Program, kind: np.dtype[np.generic]) -> Array:
    phases = np.array([1j ** int(count) for count in program.observables[:, 2]])
    return phases.astype(kind) if kind.kind == "c" else phases.real.astype(kind)
