"""The same program by torch operations, for tensors on an accelerator; runs on the CPU too, for tests."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridqies.engine.program import MIX_TWO, PERMUTE, Pools, Program


def forward(program: Program, pools: Pools, amplitudes: Tensor | None, batch: int) -> tuple[Tensor, Tensor]:
    """Expectations (B, M) and the final state (B, 2**n) of a batch."""
    first = pools.shared_two
    if amplitudes is None:
        state = torch.zeros(batch, 2**program.n_qubits, dtype=first.dtype, device=first.device)
        state[:, 0] = 1
    else:
        state = amplitudes.detach().clone()
    for op in program.rows.tolist():
        if op[0] == PERMUTE:
            _swap(op, state)
        else:
            _mix(op, _matrix(op, pools), state)
    values = [(state.conj() * _pauli(masks, state)).sum(dim=1).real for masks in program.observables.tolist()]
    return torch.stack(values, dim=1), state


def backward(program: Program, pools: Pools, final: Tensor, gradients: Tensor) -> tuple[Tensor, Pools]:
    """Gradients of a loss for the amplitudes (B, 2**n) and for every matrix, from those for expectations (B, M)."""
    state, adjoint = final.clone(), torch.zeros_like(final)
    for m, masks in enumerate(program.observables.tolist()):
        adjoint += gradients[:, m, None] * _pauli(masks, state)
    grads = Pools(*(torch.zeros_like(pool) for pool in pools))
    for op in reversed(program.rows.tolist()):
        if op[0] == PERMUTE:
            _swap(op, state)
            _swap(op, adjoint)
            continue
        matrix = _matrix(op, pools)
        inverse = matrix.mH
        _mix(op, inverse, state)
        if op[5]:
            _collect(op, 2 * _gather(op, adjoint) @ _gather(op, state).mH, grads)
        _mix(op, inverse, adjoint)
    return 2 * adjoint, grads


def _matrix(op: list[int], pools: Pools) -> Tensor:
    """The gate's matrix, (d, d) or (B, d, d)."""
    shared, batched = (pools[0], pools[1]) if op[0] == MIX_TWO else (pools[2], pools[3])
    return batched[op[3]] if op[4] else shared[op[3]]


def _collect(op: list[int], products: Tensor, grads: Pools) -> None:
    shared, batched = (grads[0], grads[1]) if op[0] == MIX_TWO else (grads[2], grads[3])
    if op[4]:
        batched[op[3]] = products
    else:
        shared[op[3]] += products.sum(dim=0)


def _row_indices(op: list[int], state: Tensor) -> Tensor:
    """The rows a gate mixes, (d, groups): zero bits inserted at its positions, plus its offsets."""
    low, high = op[1], op[2]
    k = torch.arange(state.shape[1] >> (1 if high < 0 else 2), device=state.device)
    base = ((k >> low) << (low + 1)) | (k & ((1 << low) - 1))
    if high >= 0:
        base = ((base >> high) << (high + 1)) | (base & ((1 << high) - 1))
    dimension = 4 if op[0] not in (MIX_TWO, PERMUTE) else 2
    return torch.stack([base + offset for offset in op[6 : 6 + dimension]])


def _gather(op: list[int], state: Tensor) -> Tensor:
    """The amplitudes a gate mixes, (B, d, groups)."""
    return state[:, _row_indices(op, state)]


def _mix(op: list[int], matrix: Tensor, state: Tensor) -> None:
    rows = _row_indices(op, state)
    state[:, rows] = matrix @ state[:, rows]


def _swap(op: list[int], state: Tensor) -> None:
    rows = _row_indices(op, state)
    state[:, rows] = state[:, rows.flip(0)]


def _pauli(masks: list[int], state: Tensor) -> Tensor:
    """P|state⟩ for the Pauli string with these X and Z masks and number of Y."""
    x_mask, z_mask, n_y = masks
    index = torch.arange(state.shape[1], device=state.device)
    from_row = index ^ x_mask
    signs = 1 - 2 * _parity(from_row & z_mask)
    phase = (1j**n_y).real if not state.is_complex() else 1j**n_y
    return state[:, from_row] * signs.to(state.dtype) * phase


def _parity(bits: Tensor) -> Tensor:
    for shift in (32, 16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return bits & 1
