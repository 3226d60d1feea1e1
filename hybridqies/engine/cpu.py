"""CPU kernels: a tile of samples walks the whole program in one compiled call, samples innermost.

A tile holds `LANES` samples of a state as (2**n, lanes), so that the innermost
loop runs over samples and vectorises; small batches and large states take fewer.
All tiles of a call are equally wide (the last one is filled up with lanes that
count for nothing) and their partial sums are added in a fixed order: results do
not depend on threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from hybridqies.engine.program import MIX_TWO, Pools, Program, Row

LANES = 16
# A wider tile would gain nothing, and cost memory: 64 MiB of complex128.
_TILE_AMPLITUDES = 2**22
Array = npt.NDArray[Any]

_KIND, _SLOT, _BATCHED, _WANTS, _LOW, _HIGH, _FLIP = (
    Row._fields.index(name) for name in ("kind", "slot", "batched", "wants_gradient", "low", "high", "flip1")
)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _compiled(kernel: Kernel) -> Kernel:
    compiled: Kernel = njit(cache=True, nogil=True)(kernel)
    return compiled


def _compiled_sum(kernel: Kernel) -> Kernel:
    # Sums may be taken in vector order: fixed by the compiled code, so still the same at every call.
    compiled: Kernel = njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(kernel)
    return compiled


@_compiled
def _parity(bits: int) -> int:
    bits ^= bits >> 32
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    return (0x6996 >> (bits & 15)) & 1


@_compiled
def _first(k: int, op: Any) -> Any:
    """The first amplitude of the k-th group that a gate mixes (see `program.Row`)."""
    low, high = op[_LOW], op[_HIGH]
    row = ((k >> low) << (low + 1)) | (k & ((1 << low) - 1))
    if high < 0:
        return row | ((_parity(row & op[_LOW + 1]) ^ op[_LOW + 2]) << low)
    row = ((row >> high) << (high + 1)) | (row & ((1 << high) - 1))
    at_low = (_parity(row & op[_LOW + 1]) ^ op[_LOW + 2]) << low
    return row | at_low | ((_parity(row & op[_HIGH + 1]) ^ op[_HIGH + 2]) << high)


@_compiled
def _groups(op: Any, state: Any) -> Any:
    return state.shape[0] >> (1 if op[_HIGH] < 0 else 2)


@_compiled
def _mix_two_shared(op: Any, m00: Any, m01: Any, m10: Any, m11: Any, state: Array) -> None:
    lanes = state.shape[1]
    for k in range(_groups(op, state)):
        row = _first(k, op)
        first, second = state[row], state[row ^ op[_FLIP]]
        for b in range(lanes):
            s0, s1 = first[b], second[b]
            first[b] = m00 * s0 + m01 * s1
            second[b] = m10 * s0 + m11 * s1


@_compiled
def _mix_two_batched(op: Any, m: Array, state: Array) -> None:
    lanes = state.shape[1]
    m00, m01, m10, m11 = m[0, 0], m[0, 1], m[1, 0], m[1, 1]
    for k in range(_groups(op, state)):
        row = _first(k, op)
        first, second = state[row], state[row ^ op[_FLIP]]
        for b in range(lanes):
            s0, s1 = first[b], second[b]
            first[b] = m00[b] * s0 + m01[b] * s1
            second[b] = m10[b] * s0 + m11[b] * s1


@_compiled
def _mix_four(op: Any, m: Array, state: Array) -> None:
    mixed = np.empty((4, state.shape[1]), state.dtype)
    rows = np.empty(4, np.int64)
    for k in range(_groups(op, state)):
        rows[0] = _first(k, op)
        for i in range(3):
            rows[i + 1] = rows[0] ^ op[_FLIP + i]
        mixed[:] = 0
        for i in range(4):
            for j in range(4):
                for b in range(state.shape[1]):
                    mixed[i, b] += m[i, j, b] * state[rows[j], b]
        for i in range(4):
            for b in range(state.shape[1]):
                state[rows[i], b] = mixed[i, b]


@_compiled
def _load(op: Any, shared: Array, batched: Array, start: int, into: Array) -> None:
    """One matrix a lane; lanes beyond the batch repeat its last sample."""
    for b in range(into.shape[2]):
        sample = min(start + b, batched.shape[1] - 1)
        for i in range(into.shape[0]):
            for j in range(into.shape[1]):
                into[i, j, b] = batched[op[_SLOT], sample, i, j] if op[_BATCHED] else shared[op[_SLOT], i, j]


@_compiled
def _mix(op: Any, shared: Array, batched: Array, start: int, lanes: Array, state: Array) -> None:
    """Applies one gate; `lanes` is scratch of the gate's size."""
    if op[_KIND] == MIX_TWO and not op[_BATCHED]:
        m = shared[op[_SLOT]]
        _mix_two_shared(op, m[0, 0], m[0, 1], m[1, 0], m[1, 1], state)
        return
    _load(op, shared, batched, start, lanes)
    if op[_KIND] == MIX_TWO:
        _mix_two_batched(op, lanes, state)
    else:
        _mix_four(op, lanes, state)


@_compiled_sum
def _outer_shared(op: Any, bra: Array, state: Array, into: Array) -> None:
    """Adds 2 bra_i state_j over the groups and lanes of a 2x2 gate that the batch shares."""
    p00, p01, p10, p11 = into[0, 0], into[0, 1], into[1, 0], into[1, 1]
    for k in range(_groups(op, state)):
        row = _first(k, op)
        s0, s1, l0, l1 = state[row], state[row ^ op[_FLIP]], bra[row], bra[row ^ op[_FLIP]]
        for b in range(state.shape[1]):
            p00 += 2 * l0[b] * s0[b]
            p01 += 2 * l0[b] * s1[b]
            p10 += 2 * l1[b] * s0[b]
            p11 += 2 * l1[b] * s1[b]
    into[0, 0], into[0, 1], into[1, 0], into[1, 1] = p00, p01, p10, p11


@_compiled
def _outer_lanes(op: Any, bra: Array, state: Array, into: Array) -> None:
    """Writes 2 bra_i state_j, summed over the groups of a gate, lane by lane."""
    into[:] = 0
    rows = np.empty(4, np.int64)
    for k in range(_groups(op, state)):
        rows[0] = _first(k, op)
        for i in range(3):
            rows[i + 1] = rows[0] ^ op[_FLIP + i]
        for i in range(into.shape[0]):
            for j in range(into.shape[1]):
                left, right, sums = bra[rows[i]], state[rows[j]], into[i, j]
                for b in range(state.shape[1]):
                    sums[b] += 2 * left[b] * right[b]


@_compiled
def _collect(
    op: Any, bra: Array, state: Array, start: int, lanes: Array, shared: Array, batched: Array
) -> None:
    """Adds one gate's gradient where it belongs; `lanes` is scratch of the gate's size."""
    if op[_KIND] == MIX_TWO and not op[_BATCHED]:
        _outer_shared(op, bra, state, shared[op[_SLOT]])
        return
    _outer_lanes(op, bra, state, lanes)
    for b in range(lanes.shape[2]):
        for i in range(lanes.shape[0]):
            for j in range(lanes.shape[1]):
                if not op[_BATCHED]:
                    shared[op[_SLOT], i, j] += lanes[i, j, b]
                elif start + b < batched.shape[1]:
                    batched[op[_SLOT], start + b, i, j] = lanes[i, j, b]


@_compiled
def run_forward(rows: Array, matrices: tuple[Array, ...], start: int, state: Array) -> None:
    """Applies the program to one tile, in place; `start` is the tile's first sample."""
    two = np.empty((2, 2, state.shape[1]), state.dtype)
    four = np.empty((4, 4, state.shape[1]), state.dtype)
    for at in range(rows.shape[0]):
        op = rows[at]
        if op[_KIND] == MIX_TWO:
            _mix(op, matrices[0], matrices[1], start, two, state)
        else:
            _mix(op, matrices[2], matrices[3], start, four, state)


@_compiled
def run_observables(observables: Array, phases: Array, state: Array, conjugate: Array, values: Array) -> None:
    """Writes each ⟨P⟩ of one tile into `values` (M, lanes); `conjugate` is the state's conjugate."""
    values[:] = 0
    for m in range(observables.shape[0]):
        flip, mask = observables[m, 0], observables[m, 1]
        for i in range(state.shape[0]):
            factor = phases[m] * (1 - 2 * _parity(i & mask))
            left, right = conjugate[i ^ flip], state[i]
            for b in range(state.shape[1]):
                values[m, b] += (factor * left[b] * right[b]).real


@_compiled
def run_bra(observables: Array, phases: Array, gradients: Array, conjugate: Array, bra: Array) -> None:
    """Writes the conjugate of sum_m g_m P_m |state⟩ of one tile into `bra`; `gradients` is (M, lanes)."""
    bra[:] = 0
    for m in range(observables.shape[0]):
        flip, mask = observables[m, 0], observables[m, 1]
        for i in range(conjugate.shape[0]):
            factor = phases[m] * (1 - 2 * _parity(i & mask))
            into, source = bra[i ^ flip], conjugate[i]
            for b in range(conjugate.shape[1]):
                into[b] += factor * gradients[m, b] * source[b]


@_compiled
def run_backward(
    rows: Array,
    adjoint: tuple[Array, ...],
    transposed: tuple[Array, ...],
    grads: tuple[Array, ...],
    start: int,
    state: Array,
    bra: Array,
) -> None:
    """Walks the program backwards over one tile: uncomputes `state`, carries `bra`, collects gradients.

    With bra the conjugate of the adjoint state, a gate's matrix U has the
    gradient dL = Re sum_ij 2 bra_i state_j dU_ij, taken before the gate; then
    bra becomes U^T bra. Nothing is stored per gate (arXiv:2009.02823).
    """
    two = np.empty((2, 2, state.shape[1]), state.dtype)
    four = np.empty((4, 4, state.shape[1]), state.dtype)
    for at in range(rows.shape[0] - 1, -1, -1):
        op = rows[at]
        if op[_KIND] == MIX_TWO:
            _mix(op, adjoint[0], adjoint[1], start, two, state)
            if op[_WANTS]:
                _collect(op, bra, state, start, two, grads[0], grads[1])
            _mix(op, transposed[0], transposed[1], start, two, bra)
        else:
            _mix(op, adjoint[2], adjoint[3], start, four, state)
            if op[_WANTS]:
                _collect(op, bra, state, start, four, grads[2], grads[3])
            _mix(op, transposed[2], transposed[3], start, four, bra)


def forward(program: Program, pools: Pools, amplitudes: Tensor | None, batch: int) -> tuple[Tensor, Tensor]:
    """Expectations (B, M) and the final state (B, 2**n) of a batch, in the program's last labels."""
    arrays = tuple(_array(pool) for pool in pools)
    kind = arrays[0].dtype
    final = np.empty((batch, 2**program.n_qubits), kind)
    values = np.empty((batch, len(program.observables)), kind.type(0).real.dtype)
    source = None if amplitudes is None else _array(amplitudes)
    phases = _phases(program, kind)
    lanes = lanes_of(program.n_qubits, batch)

    def run(start: int) -> None:
        end = min(start + lanes, batch)
        tile = np.zeros((2**program.n_qubits, lanes), kind)
        if source is None:
            tile[0] = 1
        else:
            tile[:, : end - start] = source[start:end].T
        run_forward(program.rows, arrays, start, tile)
        # In double, whatever the state: a sum of 2**n terms in single loses what the terms still know.
        out = np.empty((values.shape[1], lanes), np.float64)
        run_observables(program.observables, phases, tile, tile.conj(), out)
        values[start:end] = out.T[: end - start]
        final[start:end] = tile.T[: end - start]

    _each_tile(run, range(0, batch, lanes))
    return torch.from_numpy(values), torch.from_numpy(final)


def backward(program: Program, pools: Pools, final: Tensor, gradients: Tensor) -> tuple[Tensor, Pools]:
    """Gradients of a loss for the amplitudes (B, 2**n) and all matrices, from those for ⟨P⟩ (B, M)."""
    arrays = tuple(_array(pool) for pool in pools)
    transposed = tuple(np.ascontiguousarray(array.swapaxes(-1, -2)) for array in arrays)
    adjoint = tuple(array.conj() for array in transposed)
    states, slopes = _array(final), _array(gradients)
    batch, kind = states.shape[0], states.dtype
    lanes = lanes_of(program.n_qubits, batch)
    starts = range(0, batch, lanes)
    # Shared matrices collect a sum a tile, added up below in the tiles' order.
    shared2, shared4 = (np.zeros((len(starts), *array.shape), kind) for array in (arrays[0], arrays[2]))
    batched2, batched4 = np.zeros_like(arrays[1]), np.zeros_like(arrays[3])
    amplitudes = np.empty_like(states)
    phases = _phases(program, kind).conj()

    def run(start: int) -> None:
        end, at = min(start + lanes, batch), start // lanes
        state = np.zeros((2**program.n_qubits, lanes), kind)
        state[:, : end - start] = states[start:end].T
        slope = np.zeros((slopes.shape[1], lanes), slopes.dtype)
        slope[:, : end - start] = slopes[start:end].T
        bra = np.empty_like(state)
        run_bra(program.observables, phases, slope, state.conj(), bra)
        grads = (shared2[at], batched2, shared4[at], batched4)
        run_backward(program.rows, adjoint, transposed, grads, start, state, bra)
        amplitudes[start:end] = 2 * bra.T[: end - start]

    _each_tile(run, starts)
    collected = (shared2.sum(axis=0), batched2, shared4.sum(axis=0), batched4)
    # Torch's gradient of a real loss for a complex number is the conjugate of dL/dz.
    return torch.from_numpy(amplitudes.conj()), Pools(*(torch.from_numpy(grad.conj()) for grad in collected))


def states_held(n_qubits: int, batch: int) -> int:
    """How many states are in memory at the worst moment of a forward and backward pass."""
    lanes = lanes_of(n_qubits, batch)
    # The batch: final state, its gradient, that one's conjugate. A tile: state, bra, two temporaries.
    return 3 * batch + 4 * lanes * _threads(range(0, batch, lanes))


def lanes_of(n_qubits: int, batch: int) -> int:
    """How many samples a tile holds: a power of two."""
    return max(1, min(LANES, 1 << (batch - 1).bit_length(), _TILE_AMPLITUDES >> n_qubits))


def _threads(starts: range) -> int:
    return min(torch.get_num_threads(), len(starts))


def _each_tile(run: Callable[[int], None], starts: range) -> None:
    threads = _threads(starts)
    if threads <= 1:
        for start in starts:
            run(start)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, starts))


def _array(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().resolve_conj().resolve_neg().numpy())


def _phases(program: Program, kind: np.dtype[Any]) -> Array:
    """The factor of each Pauli string: its sign times i for every Y."""
    turns = np.array([1j ** int(n_y) for n_y in program.observables[:, 2]])
    phases: Array = program.observables[:, 3] * turns
    return phases.astype(kind) if kind.kind == "c" else phases.real.astype(kind)
