"""What a plan costs in operations and memory traffic: counted, not timed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hybridqies.engine.plan import Op, Plan

# An angle that differs by sample is turned into sines, cosines and a matrix on the way forward and back.
# On the core where this was measured that took as long as 1,300 operations on amplitudes.
FLOPS_AN_ANGLE = 1024

_SECOND, _CONDITIONS = Op._fields.index("second"), Op._fields.index("conditions")


@dataclass(frozen=True, slots=True)
class PlanCosts:
    """The work of one forward and backward pass.

    `steps` are 2x2 matrices and `passes` walks of a kernel over a state (or over ket and bra).
    `flops` are floating-point operations; a fused multiply-add counts as two. `bytes` move between
    memory and the caches: each block's states in and out where a state is larger than a block, and
    the final states alone where it is not.
    """

    steps: int
    passes: int
    flops: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Costs:
    """Floating-point operations on real or complex amplitudes."""

    multiply: int
    multiply_add: int
    square: int
    overlap: int
    gradients: int
    planes: int

    @property
    def mix(self) -> int:
        """A 2x2 matrix on a pair."""
        return 2 * (self.multiply + self.multiply_add)


_REAL = _Costs(multiply=1, multiply_add=2, square=1, overlap=1, gradients=4, planes=1)
_COMPLEX = _Costs(multiply=6, multiply_add=8, square=3, overlap=3, gradients=24, planes=2)


def count_costs(plan: Plan, batch: int, dtype: torch.dtype = torch.float32) -> PlanCosts:
    """The counts of a plan for a batch of samples, in a precision."""
    costs = _REAL if plan.is_real else _COMPLEX
    layout, size = plan.flat.layout, 1 << plan.n_qubits
    ops = layout.ops.tolist()
    pairs = sum(_pairs(op, size) for op in ops)
    flops = pairs * (3 * costs.mix + costs.gradients)
    passes = 2 * len(ops) + 2
    if len(layout.product):
        # Grown, grown again, and taken apart from the bra.
        grow = 2 * costs.multiply * (size - 1)
        shrink = (3 * costs.multiply_add + costs.multiply) * (size - 1)
        flops += grow + grow // 2 + shrink
        passes += 3
    flops += _read(layout.observables.tolist(), costs) * size
    state = size * costs.planes * dtype.itemsize
    return PlanCosts(len(plan.steps), passes, flops * batch, round(_trips(plan) * state * batch))


def count_work(plan: Plan) -> int:
    """The work of one more sample in a batch, in floating-point operations, with that of its angles."""
    tables = plan.flat.tables
    return count_costs(plan, 1).flops + FLOPS_AN_ANGLE * (len(tables.angle_scale) - tables.n_shared_angles)


def _pairs(op: list[int], size: int) -> int:
    """Pairs of amplitudes that one op mixes, both of its steps counted."""
    if op[_SECOND] >= 0:
        return size
    return size >> op[_CONDITIONS] if not op[Op._fields.index("guard")] else size >> 2


def _read(observables: list[list[int]], costs: _Costs) -> int:
    """Operations an amplitude to read the observables, and to start the bra from them."""
    total = costs.square + 3 * costs.planes
    for flip, *_ in observables:
        total += 4 if flip == 0 else costs.overlap + 2 + 1 + 2 * costs.planes
    return total


def _trips(plan: Plan) -> float:
    """How many times a state's bytes go from or to memory."""
    layout = plan.flat.layout
    if layout.basis.shape[1] == plan.n_qubits:
        return 2
    n_blocks = len(layout.block_first) - 1
    # A block of the forward pass reads and writes the ket, one of the backward pass ket and bra.
    start = 3 + 1.5 + 4 if len(layout.product) else 2 + 2
    return start + 6 * n_blocks + 1 + 2
