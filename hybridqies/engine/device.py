"""The same program by torch operations, for tensors on an accelerator; runs on the CPU too, for tests."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridqies.engine.program import MIX_TWO, Pools, Program, Row


def forward(program: Program, pools: Pools, amplitudes: Tensor | None, batch: int) -> tuple[Tensor, Tensor]:
    """Expectations (B, M) and the final state (B, 2**n) of a batch."""
    first = pools.shared_two
    if amplitudes is None:
        state = torch.zeros(batch, 2**program.n_qubits, dtype=first.dtype, device=first.device)
        state[:, 0] = 1
    else:
        state = amplitudes.detach().clone()
    for row in program.rows.tolist():
        op = Row(*row)
        _mix(op, _matrix(op, pools), state)
    values = [(state.conj() * _pauli(masks, state)).sum(dim=1).real for masks in program.observables.tolist()]
    return torch.stack(values, dim=1), state


def backward(program: Program, pools: Pools, final: Tensor, gradients: Tensor) -> tuple[Tensor, Pools]:
    """Gradients of a loss for the amplitudes (B, 2**n) and all matrices, from those for ⟨P⟩ (B, M)."""
    state, adjoint = final.clone(), torch.zeros_like(final)
    for m, masks in enumerate(program.observables.tolist()):
        adjoint += gradients[:, m, None] * _pauli(masks, state)
    grads = Pools(*(torch.zeros_like(pool) for pool in pools))
    for row in reversed(program.rows.tolist()):
        op = Row(*row)
        matrix = _matrix(op, pools)
        inverse = matrix.mH
        _mix(op, inverse, state)
        if op.wants_gradient:
            _collect(op, _outer(op, adjoint, state), grads)
        _mix(op, inverse, adjoint)
    return 2 * adjoint, grads


def states_held(n_qubits: int, batch: int) -> int:  # noqa: ARG001
    """How many states are in memory at the worst moment of a forward and backward pass."""
    # The final state, a working copy, its adjoint, the rows of both, and one product of them.
    return 6 * batch


def _matrix(op: Row, pools: Pools) -> Tensor:
    """The gate's matrix, (d, d) or (B, d, d)."""
    shared, batched = (pools[0], pools[1]) if op.kind == MIX_TWO else (pools[2], pools[3])
    return batched[op.slot] if op.batched else shared[op.slot]


def _collect(op: Row, products: Tensor, grads: Pools) -> None:
    shared, batched = (grads[0], grads[1]) if op.kind == MIX_TWO else (grads[2], grads[3])
    if op.batched:
        batched[op.slot] = products
    else:
        shared[op.slot] += products.sum(dim=0)


def _row_indices(op: Row, state: Tensor) -> Tensor:
    """The amplitudes a gate mixes, as indices (d, groups); see `program.Row`."""
    k = torch.arange(state.shape[1] >> (1 if op.high < 0 else 2), device=state.device)
    base = ((k >> op.low) << (op.low + 1)) | (k & ((1 << op.low) - 1))
    if op.high >= 0:
        base = ((base >> op.high) << (op.high + 1)) | (base & ((1 << op.high) - 1))
    first = base | ((_parity(base & op.low_mask) ^ op.low_constant) << op.low)
    if op.high >= 0:
        first = first | ((_parity(base & op.high_mask) ^ op.high_constant) << op.high)
    flips = (op.flip1,) if op.kind == MIX_TWO else (op.flip1, op.flip2, op.flip3)
    return torch.stack([first, *(first ^ flip for flip in flips)])


def _outer(op: Row, adjoint: Tensor, state: Tensor) -> Tensor:
    """2 adjoint_i conj(state_j) over the rows a gate mixes, (B, d, d)."""
    rows = _row_indices(op, state)
    products = [[2 * (adjoint[:, i] * state[:, j].conj()).sum(dim=1) for j in rows] for i in rows]
    return torch.stack([torch.stack(row, dim=-1) for row in products], dim=-2)


def _mix(op: Row, matrix: Tensor, state: Tensor) -> None:
    # Entry by entry: a matrix product would follow the user's autocast and TF32 settings.
    rows = _row_indices(op, state)
    old = [state[:, row] for row in rows]
    for i, row in enumerate(rows):
        new = matrix[..., i, 0, None] * old[0]
        for j in range(1, len(old)):
            new += matrix[..., i, j, None] * old[j]
        state[:, row] = new


def _pauli(masks: list[int], state: Tensor) -> Tensor:
    """P|state⟩ for one row of the program's observables."""
    flip, mask, n_y, sign = masks
    index = torch.arange(state.shape[1], device=state.device)
    from_row = index ^ flip
    signs = sign * (1 - 2 * _parity(from_row & mask))
    phase = (1j**n_y).real if not state.is_complex() else 1j**n_y
    return state[:, from_row] * signs.to(state.dtype) * phase


def _parity(bits: Tensor) -> Tensor:
    for shift in (32, 16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return bits & 1
