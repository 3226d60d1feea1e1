"""Kernels of torch operations, for tensors on an accelerator; tests run them on the CPU, too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hybridqies.circuit import Feature, evaluate
from hybridqies.engine.lowering import PAULIS, Fixed, Step, Turn
from hybridqies.engine.plan import Plan
from hybridqies.engine.tables import bloch

# Entries of a step's matrix, rows first: each a number a sample, (B, 1), or one for all, (1, 1).
Matrix = tuple[Tensor, Tensor, Tensor, Tensor]


Kept = tuple[Plan, Tensor, Tensor, Tensor | None, Tensor]


def forward(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, *, keep: bool
) -> tuple[Tensor, Kept | None]:
    """Expectations (B, M) and, if `backward` is to follow, the inputs and the final states (B, 2**n)."""
    state = _run_forward(plan, features, weights, amplitudes)
    rows = plan.flat.layout.observables.tolist()
    values = [(state.conj() * _pauli(row, state)).sum(dim=1).real for row in rows]
    return torch.stack(values, dim=1), (plan, features, weights, amplitudes, state) if keep else None


def _run_forward(plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
    """The final states (B, 2**n), as stored."""
    kind = features.dtype if plan.is_real else features.dtype.to_complex()
    if amplitudes is None:
        state = torch.zeros(len(features), 2**plan.n_qubits, dtype=kind, device=features.device)
        state[:, 0] = 1
    else:
        state = amplitudes.detach().to(kind).clone()
    for step in plan.steps:
        _mix(step, _matrix(step, features, weights, kind), state)
    return state


def backward(
    kept: Kept, gradients: Tensor, *, wants_amplitudes: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of a loss for the inputs, from those for ⟨P⟩ (B, M); the kept states are used up."""
    plan, features, weights, amplitudes, states = kept
    bra = torch.zeros_like(states)
    for m, row in enumerate(plan.flat.layout.observables.tolist()):
        bra += gradients[:, m, None] * _pauli(row, states)
    of_features, of_weights = torch.zeros_like(features), torch.zeros_like(weights)
    for step in reversed(plan.steps):
        if any(isinstance(factor, Turn) for factor in step.factors):
            _chain(step, _pauli_gradients(step, bra, states), features, weights, of_features, of_weights)
        a, b, c, d = (each.conj() for each in _matrix(step, features, weights, states.dtype))
        _mix(step, (a, c, b, d), states)
        _mix(step, (a, c, b, d), bra)
    if amplitudes is None or not wants_amplitudes:
        return of_features, of_weights, None
    return of_features, of_weights, 2 * (bra if amplitudes.is_complex() else bra.real)


def final_states(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, places: Tensor
) -> Tensor:
    """Final states (B, 2**n), where basis state x is the amplitude stored at places[x]."""
    states = _run_forward(plan, features, weights, amplitudes)
    return states[:, places.to(states.device)]


def all_finite(features: Tensor, weights: Tensor) -> bool:
    """Whether inputs hold neither NaN nor infinity."""
    return bool(features.isfinite().all() & weights.isfinite().all())


def count_states(plan: Plan, batch: int, itemsize: int) -> int:  # noqa: ARG001
    """The largest number of states in memory at a time in a forward and backward pass."""
    # The final state, its bra, the rows that a step mixes, and one product of them.
    return 5 * batch


def _angle(turn: Turn, features: Tensor, weights: Tensor) -> Tensor:
    """A turn's angle, (B,) or (1,), in double: large angles lose digits in single precision."""
    angle: Tensor = evaluate(
        turn.angle,
        lambda i: features[:, i].double(),
        lambda i: weights[..., i].double().reshape(-1),
    )
    return turn.sign * angle


def _matrix(step: Step, features: Tensor, weights: Tensor, kind: torch.dtype) -> Matrix:
    product = torch.eye(2, dtype=torch.complex128, device=features.device)[None]
    paulis = torch.stack([torch.from_numpy(pauli) for pauli in PAULIS]).to(features.device)
    for factor in step.factors:
        if isinstance(factor, Fixed):
            matrix = torch.from_numpy(factor.matrix.copy()).to(features.device)
            product = _times(matrix[None], product)
        else:
            half = _angle(factor, features, weights)[:, None, None] / 2
            turn = half.cos() * torch.eye(2, device=half.device) - 1j * half.sin() * paulis[factor.axis]
            product = _times(turn, product)
    entries = (product if kind.is_complex else product.real).to(kind).flatten(1)
    return entries[:, 0:1], entries[:, 1:2], entries[:, 2:3], entries[:, 3:4]


def _times(a: Tensor, b: Tensor) -> Tensor:
    # Entry by entry: a matrix product would follow the user's autocast and TF32 settings.
    return (a[..., :, :, None] * b[..., None, :, :]).sum(dim=-2)


def _chain(
    step: Step, gradients: Tensor, features: Tensor, weights: Tensor, of_features: Tensor, of_weights: Tensor
) -> None:
    """Adds a step's gradients (B, 3) to those of its angles; see `coefficients`."""
    x, y, z = gradients.unbind(dim=1)
    for factor in reversed(step.factors):
        vector = [x, y, z]
        if isinstance(factor, Fixed):
            x, y, z = _turned_back(factor, vector)
            continue
        angle = _angle(factor, features, weights)
        cos, sin = angle.cos(), angle.sin()
        axis = factor.axis
        _add(factor, vector[axis], features, of_features, of_weights)
        after, before = (axis + 1) % 3, (axis + 2) % 3
        turned = list(vector)
        turned[after] = cos * vector[after] + sin * vector[before]
        turned[before] = cos * vector[before] - sin * vector[after]
        x, y, z = turned


def _turned_back(factor: Fixed, vector: list[Tensor]) -> list[Tensor]:
    matrix: Any = bloch(factor.matrix)
    return [sum((float(matrix[i, j]) * vector[i] for i in range(3)), torch.zeros(())) for j in range(3)]


def _add(factor: Turn, gradient: Tensor, features: Tensor, of_features: Tensor, of_weights: Tensor) -> None:
    gradient = gradient * (factor.sign * factor.angle.scale)
    if not isinstance(factor.angle, Feature):
        target = of_weights[..., factor.angle.index]
        target += gradient if of_weights.dim() == 2 else gradient.sum()
        return
    for at, index in enumerate(factor.angle.indices):
        product = gradient
        for other, source in enumerate(factor.angle.indices):
            if other != at:
                product = product * features[:, source]
        of_features[:, index] += product.to(of_features.dtype)


def _rows(step: Step, state: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs of amplitudes that a step mixes, as two index vectors."""
    pivot = step.flip.bit_length() - 1
    k = torch.arange(state.shape[1] // 2, device=state.device)
    row = ((k >> pivot) << (pivot + 1)) | (k & ((1 << pivot) - 1))
    first = torch.where(_parity(row & step.mask).bool(), row ^ step.flip, row)
    if step.control is not None:
        mask, value = step.control
        first = first[_parity(first & mask) == value]
    return first, first ^ step.flip


def _pauli_gradients(step: Step, bra: Tensor, ket: Tensor) -> Tensor:
    """Im ⟨bra| P |ket⟩ over the step's pairs for P = X, Y, Z: (B, 3), in double."""
    first, second = _rows(step, ket)
    l0, l1 = bra[:, first].conj(), bra[:, second].conj()
    s0, s1 = ket[:, first], ket[:, second]
    cross, back = (l0 * s1).sum(dim=1), (l1 * s0).sum(dim=1)
    y = (back - cross).real
    if not ket.is_complex():
        return torch.stack([torch.zeros_like(y), y, torch.zeros_like(y)], dim=1).double()
    z = (l0 * s0).sum(dim=1) - (l1 * s1).sum(dim=1)
    return torch.stack([(cross + back).imag, y, z.imag], dim=1).double()


def _mix(step: Step, matrix: Matrix, state: Tensor) -> None:
    first, second = _rows(step, state)
    a, b, c, d = matrix
    low, high = state[:, first], state[:, second]
    state[:, first] = a * low + b * high
    state[:, second] = c * low + d * high


def _pauli(observable: list[int], state: Tensor) -> Tensor:
    """P|state⟩ for one row of the layout's observables."""
    flip, mask, n_y, sign = observable
    index = torch.arange(state.shape[1], device=state.device)
    from_row = index ^ flip
    signs = sign * (1 - 2 * _parity(from_row & mask))
    phase = (1j**n_y).real if not state.is_complex() else 1j**n_y
    return state[:, from_row] * signs.to(state.dtype) * phase


def _parity(bits: Tensor) -> Tensor:
    for shift in (32, 16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return bits & 1
