"""A circuit compiled for the kernels: pruned, fused, scheduled into blocks, and laid flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from hybridqies.circuit import Circuit, PauliString, Start
from hybridqies.engine.basis_map import BasisMap
from hybridqies.engine.fusion import (
    Block,
    Span,
    blocks,
    fuse,
    is_identity,
    odd,
    prune,
    split_product,
)
from hybridqies.engine.lowering import Step, Turn, lower
from hybridqies.engine.tables import Array, Tables, tables
from hybridqies.engine.workspace import Workspace

# States up to this many qubits stay in a core's cache with their adjoint: one block holds them whole.
WHOLE_QUBITS = 14
# What a step, and each of its factors, takes as a Python object.
_STEP_BYTES = 200
# A larger state goes through the cache in cosets of 2**BLOCK_QUBITS amplitudes.
BLOCK_QUBITS = 12


class Op(NamedTuple):
    """One pass over a block: one step, or two after each other; fields are the columns of `Layout.ops`.

    Amplitudes are visited in groups of 2**conditions. The index of a group's first amplitude has 0
    inserted at the pivots, and is moved by `shift` where parity(mask & index) differs from the target
    plus parity(outer & base) of the coset. The two amplitudes of a pair lie `flip` apart. Two steps need
    not commute: where one's mask sees the other's flip, its second pair is in the reverse order
    (`crossed` is 1 for the first step, 2 for the second). A control only selects pairs; where it has one
    value in a whole coset, the op runs if parity(guard & base) is `guard_value`.
    """

    first: int
    second: int
    conditions: int
    pivot0: int
    pivot1: int
    mask0: int
    outer0: int
    target0: int
    shift0: int
    mask1: int
    outer1: int
    target1: int
    shift1: int
    flip0: int
    flip1: int
    crossed: int
    guard: int
    guard_value: int
    wants_gradient: int


class Read(NamedTuple):
    """An observable on the stored amplitudes: the columns of `Layout.observables`."""

    flip: int
    mask: int
    n_y: int
    sign: int


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a plan is made of: steps that act on `n_qubits`, in order, and what is read after them."""

    n_qubits: int
    steps: tuple[Step, ...]
    read: tuple[Read, ...]
    n_features: int
    start: Start


class Layout(NamedTuple):
    """Where the steps act: `ops` of block b from block_first[b] on.

    The cosets of a block start at the numbers with 0 at its pivots and hold the sums of its
    basis vectors, lowest first (both (blocks, width)). `product` names the step that turns bit t out
    of |0…0⟩, or -1, and is empty when the start is an amplitude vector. `observables` (M, 4): see `Read`.
    """

    ops: Array
    block_first: Array
    basis: Array
    pivots: Array
    product: Array
    observables: Array


class Flat(NamedTuple):
    """Everything about a plan that kernels read."""

    tables: Tables
    layout: Layout
    n_qubits: int


# Integers, floats and fixed matrices of a plan.
Packed = tuple[Array, Array, Array]
# The integers are these numbers, where each of these arrays starts and the last one ends, and the arrays.
PACKED_NUMBERS = ("n_features", "n_shared_angles", "n_shared_steps", "batched_weights", "n_qubits", "width")
PACKED_ARRAYS = (
    "angle_first",
    "angle_source",
    "factor_kind",
    "factor_index",
    "step_first",
    "step_slot",
    "ops",
    "block_first",
    "basis",
    "pivots",
    "product",
    "observables",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Which shortcuts a plan takes; all by default. Without them it is the circuit gate by gate.

    `block_qubits` is the width of a block, at least 1; None chooses by the number of qubits.
    """

    prune: bool = True
    fuse: bool = True
    product: bool = True
    pair: bool = True
    block_qubits: int | None = None


class Prepared(dict[Any, Any]):
    """What kernels have made of a plan for their device; copies of the plan begin without it."""

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays, on whatever device."""
        return sum(each.nbytes for each in self.values())

    def __reduce__(self) -> tuple[Any, ...]:
        return Prepared, ()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the kernels run: 2x2 steps in order, and the arrays that say what they are and where they act."""

    n_qubits: int
    is_real: bool
    steps: tuple[Step, ...]
    flat: Flat
    packed: Packed
    workspace: Workspace = field(default_factory=Workspace, repr=False)
    prepared: Prepared = field(default_factory=Prepared, repr=False)

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays and, roughly, of its steps, without the workspace."""
        arrays = (*self.flat.tables, *self.flat.layout, *self.packed)
        in_arrays = sum(each.nbytes for each in arrays if isinstance(each, np.ndarray)) + self.prepared.nbytes
        return in_arrays + _STEP_BYTES * (len(self.steps) + int(self.flat.tables.step_first[-1]))

    @property
    def is_whole(self) -> bool:
        """Whether one block holds the whole state."""
        return int(self.flat.layout.basis.shape[1]) == self.n_qubits


def compile_plan(
    circuit: Circuit,
    *,
    batched_weights: bool = False,
    rules: Rules | None = None,
    workspace: Workspace | None = None,
) -> Plan:
    """The plan of `circuit`; `batched_weights` says that each sample brings its own weights.

    Plans that share a `workspace` reuse each other's arrays; by default a plan has its own.
    """
    rules = rules or Rules()
    steps, basis_map = lower(circuit)
    read = [read_masks(observable, basis_map) for observable in circuit.observables]
    if rules.prune:
        steps = prune(steps, [(each.flip, each.mask) for each in read])
    return assemble_plan(
        Part(circuit.n_qubits, tuple(steps), tuple(read), circuit.n_features, circuit.start),
        batched_weights=batched_weights,
        rules=rules,
        workspace=workspace,
    )


def assemble_plan(
    part: Part, *, batched_weights: bool, rules: Rules, workspace: Workspace | None = None
) -> Plan:
    """The plan that runs the steps of `part` as they are, fused and scheduled; see `compile_plan`."""
    n_qubits, steps = part.n_qubits, list(part.steps)
    if rules.fuse:
        steps = [step for step in fuse(steps) if not is_identity(step)]
    starts_at_zero = part.start is Start.ZERO
    product: dict[int, Step] = {}
    if starts_at_zero and rules.product:
        product, steps = split_product(steps, n_qubits)
    usual = n_qubits if n_qubits <= WHOLE_QUBITS else BLOCK_QUBITS
    width = min(usual if rules.block_qubits is None else rules.block_qubits, n_qubits)
    scheduled = _whole(steps, width) if width == n_qubits else blocks(steps, n_qubits, width)
    ordered = (*product.values(), *(step for block in scheduled for step in block.steps))
    ops, block_first = _ops(scheduled, len(product), pair=rules.pair)
    layout = Layout(
        ops=ops,
        block_first=block_first,
        basis=_columns([_rising(block.span) for block in scheduled], width),
        pivots=_columns([[b.bit_length() - 1 for b in _rising(block.span)] for block in scheduled], width),
        product=_product(product, n_qubits) if starts_at_zero else np.empty(0, np.int64),
        observables=np.array(part.read, dtype=np.int64),
    )
    numbers = tables(ordered, part.n_features, batched_weights=batched_weights)
    flat = Flat(numbers, layout, n_qubits)
    return Plan(
        n_qubits=n_qubits,
        is_real=not any(each.n_y % 2 for each in part.read) and all(step.is_real for step in ordered),
        steps=ordered,
        flat=flat,
        packed=pack(flat),
        workspace=Workspace() if workspace is None else workspace,
    )


def pack(flat: Flat) -> Packed:
    """A plan's arrays end to end: a call into compiled code pays for each array that it is handed."""
    found = flat.tables._asdict() | flat.layout._asdict()
    found |= {"n_qubits": flat.n_qubits, "width": flat.layout.basis.shape[1]}
    arrays = [found[name].ravel() for name in PACKED_ARRAYS]
    numbers = [int(found[name]) for name in PACKED_NUMBERS]
    starts = np.cumsum([len(numbers) + len(arrays) + 1, *map(len, arrays)])
    floats = np.concatenate([found[name].ravel() for name in ("angle_scale", "factor_sign", "fixed_turns")])
    return np.concatenate([numbers, starts, *arrays]).astype(np.int64), floats, flat.tables.fixed


def _rising(span: Span) -> list[int]:
    return span.basis[::-1]


def _whole(steps: Sequence[Step], n_qubits: int) -> list[Block]:
    return [Block(Span(1 << bit for bit in range(n_qubits)), tuple(steps))]


def _columns(rows: list[list[int]], width: int) -> Array:
    return np.array(rows, dtype=np.int64).reshape(len(rows), -1 if rows else width)


def _product(product: dict[int, Step], n_qubits: int) -> Array:
    numbers = {bit: at for at, bit in enumerate(product)}
    return np.array([numbers.get(bit, -1) for bit in range(n_qubits)], dtype=np.int64)


def read_masks(observable: PauliString, basis_map: BasisMap) -> Read:
    """How an observable is read from the stored amplitudes."""
    flip, mask, constant, n_y = 0, 0, 0, 0
    for qubit, letter in observable.factors:
        if letter in "XY":
            flip ^= basis_map.flips[qubit]
        if letter in "YZ":
            mask ^= basis_map.masks[qubit]
            constant ^= basis_map.constants[qubit]
        n_y += letter == "Y"
    return Read(flip, mask, n_y, 1 - 2 * constant)


def _ops(scheduled: Sequence[Block], n_product: int, *, pair: bool) -> tuple[Array, Array]:
    rows: list[Op] = []
    first, at = [0], n_product
    for block in scheduled:
        waiting = list(block.steps)
        while waiting:
            together = _together(waiting) if pair else waiting[:1]
            rows.append(_op(together, at, block.span))
            at += len(together)
            del waiting[: len(together)]
        first.append(len(rows))
    ops = np.array(rows, dtype=np.int64).reshape(-1, len(Op._fields))
    return ops, np.array(first, dtype=np.int64)


def _together(waiting: Sequence[Step]) -> Sequence[Step]:
    """The next two steps, if one pass can do both: no control, and not each seeing the other's flip."""
    two = waiting[:2]
    if len(two) == 2 and all(step.control is None for step in two):
        first, second = two
        if not (odd(first.mask & second.flip) and odd(second.mask & first.flip)):
            return two
    return waiting[:1]


def _op(together: Sequence[Step], at: int, span: Span) -> Op:
    masks = [span.overlaps(step.mask) for step in together]
    flips = [span.coordinates(step.flip) for step in together]
    shifts, crossed = _shifts(masks, flips)
    conditions = [
        (mask, step.mask, 0, shift) for mask, step, shift in zip(masks, together, shifts, strict=True)
    ]
    guard, guard_value = 0, 0
    control = together[0].control
    if control is not None:
        seen = span.overlaps(control[0])
        if seen:
            conditions.append((seen, control[0], control[1], _shift_of_control(seen, masks[0], flips[0])))
        else:
            guard, guard_value = control
    pivots = _pivots([condition[3] for condition in conditions])
    missing = (0, 0, 0, 0)
    return Op(
        at,
        at + 1 if len(together) == 2 else -1,
        len(conditions),
        *pivots,
        *conditions[0],
        *(conditions[1] if len(conditions) == 2 else missing),
        flip0=flips[0],
        flip1=flips[1] if len(flips) == 2 else 0,
        crossed=crossed,
        guard=guard,
        guard_value=guard_value,
        wants_gradient=any(isinstance(f, Turn) for step in together for f in step.factors),
    )


def _shifts(masks: Sequence[int], flips: Sequence[int]) -> tuple[list[int], int]:
    """Moves that change the parity of one mask alone, and which step's second pair is the other way round."""
    if len(masks) == 1:
        return [flips[0]], 0
    both = flips[0] ^ flips[1]
    if odd(masks[0] & flips[1]):
        return [flips[0], both], 1
    if odd(masks[1] & flips[0]):
        return [both, flips[1]], 2
    return list(flips), 0


def _shift_of_control(control: int, mask: int, shift: int) -> int:
    """A move that changes the control's parity and not that of the step's mask."""
    other = control & ~mask
    if other:
        return other & -other
    # The control watches only bits that the mask watches, too: two of those bits, or one and the flip.
    bit = control & -control
    return bit ^ shift


def _pivots(shifts: Sequence[int]) -> tuple[int, int]:
    first = shifts[0].bit_length() - 1
    if len(shifts) == 1:
        return first, -1
    rest = shifts[1] ^ (shifts[0] if shifts[1] >> first & 1 else 0)
    return tuple(sorted([first, rest.bit_length() - 1]))  # type: ignore[return-value]
