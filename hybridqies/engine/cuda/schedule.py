"""A plan's steps in the order in which thread blocks take them, as tables for the kernels in `source/`.

A *block* holds whole states, or a coset of a large one, in shared memory (as on the CPU, see `fusion`).
A *group* of its steps mixes 2**held amplitudes at a time, which a thread keeps in registers. A *window*
is as many groups as have room for their matrices and slopes in shared memory.

Steps that make a product state out of |0…0⟩ come in blocks of their own, before all others. They commute with
each other and with what other steps came before them, so forwards the product is written down at once, and
backwards their slopes are taken from the last ket and bra without undoing any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hybridqies.engine.fusion import Block, Span, blocks, commute, odd
from hybridqies.engine.lowering import Step, Turn
from hybridqies.engine.plan import Plan
from hybridqies.engine.tables import FIXED, Array, differs_by_sample

# Steps of one group, at most: more would only make windows uneven.
_GROUP_STEPS = 16
# Steps of one pass over a state in memory, at most: longer blocks are cut, so that matrices stay few.
_BLOCK_STEPS = 256
# The integers of a plan, in this order end to end; names as in `Tables` of amplitudes.cuh.
INTEGERS = (
    *("steps", "groups", "windows", "basis", "pivots", "observables"),
    *("step_first", "factor_kind", "factor_index", "factor_turn", "angle_first", "angle_source"),
    *("use_first", "uses", "product"),
)
DOUBLES = ("angle_scale", "factor_sign", "fixed", "fixed_turns")
# Where the flags are in a row, and what they are.
_FLAGS = 9
_WANTS_GRADIENT, _BATCHED, _CONTROLLED, _PRODUCT = 1, 2, 4, 8


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Tables of a plan for blocks of 2**width amplitudes; `arrays` has those of INTEGERS and DOUBLES.

    Block b is the windows from block_first[b] on and the rows of `steps` from row_first[b] on; the first
    `n_product` blocks have the steps of the product state. `n_turns` counts the rotations by inputs: each
    has a gradient of its own before it goes on to its inputs.
    """

    width: int
    arrays: dict[str, Array]
    block_first: list[int]
    row_first: list[int]
    n_product: int
    n_turns: int


@dataclass(frozen=True, slots=True)
class _Group:
    """Steps whose flips are among `flips`, independent vectors in the coordinates of the block's span."""

    flips: list[int]
    steps: list[Step]


def schedule(plan: Plan, n_weights: int, width: int, held: int, window_rows: int) -> Schedule:
    """The tables of `plan`; groups mix 2**held amplitudes, and windows have `window_rows` steps at most."""
    numbers = {id(step): number for number, step in enumerate(plan.steps)}
    steps: list[list[int]] = []
    groups: list[list[int]] = []
    windows, block_first, row_first = [0], [0], [0]
    products, others = _cut(plan, width)
    cut = products + others
    batched = plan.flat.tables.batched_weights
    for at, block in enumerate(cut):
        for group in _groups(block, held, min(_GROUP_STEPS, window_rows)):
            if len(steps) + len(group.steps) - _first(groups, windows[-1], len(steps)) > window_rows:
                windows.append(len(groups))
            rows = [_row(numbers[id(s)], s, group, block.span, batched) for s in group.steps]
            if at < len(products):
                rows = [[*row[:_FLAGS], row[_FLAGS] | _PRODUCT, 0, 0] for row in rows]
            pivots = sorted(each.bit_length() - 1 for each in Span(group.flips).basis)
            groups.append([len(steps), len(steps) + len(rows), *group.flips, *pivots])
            steps += rows
        if len(groups) > windows[-1]:
            windows.append(len(groups))
        block_first.append(len(windows) - 1)
        row_first.append(len(steps))
    spans = [block.span.basis[::-1] for block in cut]
    arrays = {
        "steps": np.array(steps),
        "groups": np.array(groups),
        "windows": np.array(windows),
        "basis": np.array(spans),
        "pivots": np.array([[each.bit_length() - 1 for each in span] for span in spans]),
    }
    arrays["product"] = np.array(_product_rows(plan, arrays["steps"][: row_first[len(products)]]))
    n_turns = int((plan.flat.tables.factor_kind != FIXED).sum())
    return Schedule(width, arrays | _inputs(plan, n_weights), block_first, row_first, len(products), n_turns)


def _first(groups: list[list[int]], group: int, end: int) -> int:
    """The first row of a group; `end` where it is yet to come."""
    return groups[group][0] if group < len(groups) else end


def _product_numbers(plan: Plan) -> list[int]:
    """For each bit the number of the step that turns it out of |0…0⟩, or -1; none where amplitudes start."""
    return list(plan.flat.layout.product.tolist())


def _product_rows(plan: Plan, steps: Array) -> list[int]:
    """For each bit the row of that step, or -1."""
    rows = {int(row[0]): at for at, row in enumerate(steps)}
    return [rows.get(number, -1) for number in _product_numbers(plan)]


def _cut(plan: Plan, width: int) -> tuple[list[Block], list[Block]]:
    """The steps of the product state and all others, in blocks of `width` bits."""
    in_product = set(_product_numbers(plan))
    products = [step for number, step in enumerate(plan.steps) if number in in_product]
    others = [step for number, step in enumerate(plan.steps) if number not in in_product]
    whole = Span(1 << bit for bit in range(width))
    if width == plan.n_qubits:
        return [Block(whole, tuple(products))] * bool(products), [Block(whole, tuple(others))]
    cut = [
        Block(block.span, block.steps[start : start + _BLOCK_STEPS])
        for block in blocks(others, plan.n_qubits, width)
        for start in range(0, len(block.steps), _BLOCK_STEPS)
    ]
    return blocks(products, plan.n_qubits, width), cut or [Block(whole, ())]


def _groups(block: Block, held: int, most: int) -> Iterator[_Group]:
    """The steps of a block in groups, taken greedily; a step may come before others that it commutes with."""
    waiting: Sequence[Step] = block.steps
    look_ahead = 2 * len(block.span)
    while waiting:
        flips, span, taken, left = list[int](), Span(), list[Step](), list[Step]()
        for at, step in enumerate(waiting):
            if len(left) > look_ahead or len(taken) == most:
                left += waiting[at:]
                break
            flip = block.span.coordinates(step.flip)
            is_new = flip not in flips
            fits = not is_new or (len(flips) < held and span.reduced(flip))
            if fits and all(commute(step, other) for other in left):
                taken.append(step)
                if is_new:
                    flips.append(flip)
                    span.add(flip)
            else:
                left.append(step)
        _fill(flips, span, held, len(block.span))
        yield _Group(flips, taken)
        waiting = left


def _fill(flips: list[int], span: Span, held: int, width: int) -> None:
    """Adds bits until a group has `held` flips: the highest, so that neighbouring threads share a line."""
    for bit in reversed(range(width)):
        if len(flips) == held:
            return
        if span.reduced(1 << bit):
            flips.append(1 << bit)
            span.add(1 << bit)


def _row(number: int, step: Step, group: _Group, span: Span, batched_weights: bool) -> list[int]:
    axis = group.flips.index(span.coordinates(step.flip))
    mask, (control, value) = span.overlaps(step.mask), step.control or (0, 0)
    seen = span.overlaps(control)
    flags = _WANTS_GRADIENT * any(isinstance(factor, Turn) for factor in step.factors)
    flags |= _BATCHED * differs_by_sample(step, batched_weights=batched_weights)
    flags |= _CONTROLLED * (step.control is not None)
    cross = sum(odd(mask & flip) << j for j, flip in enumerate(group.flips) if j != axis)
    control_cross = sum(odd(seen & flip) << j for j, flip in enumerate(group.flips))
    return [number, axis, cross, mask, step.mask, control_cross, seen, control, value, flags, 0, 0]


def _inputs(plan: Plan, n_weights: int) -> dict[str, Array]:
    """The plan's own tables, and which rotations use each input: (rotation, angle, place) a use."""
    tables, layout = plan.flat.tables, plan.flat.layout
    is_turn = tables.factor_kind != FIXED
    turns = np.where(is_turn, np.cumsum(is_turn) - 1, -1)
    firsts = tables.angle_first.tolist()
    uses = [
        (source, turn, angle, place)
        for turn, angle in enumerate(tables.factor_index[is_turn].tolist())
        for place, source in enumerate(tables.angle_source[slice(*firsts[angle : angle + 2])], firsts[angle])
    ]
    uses.sort()
    counts = np.bincount(np.array([use[0] for use in uses], int), minlength=tables.n_features + n_weights)
    return tables._asdict() | {
        "observables": layout.observables,
        "factor_turn": turns,
        "use_first": np.cumsum([0, *counts]),
        "uses": np.array([use[1:] for use in uses]),
        "fixed": tables.fixed.view(np.float64),
    }


def memory_windows(part: Schedule, first_block: int, most_rows: int) -> list[tuple[int, int]]:
    """Runs of blocks from one on that have `most_rows` rows together at most, or one block alone."""
    result, first, rows = list[tuple[int, int]](), first_block, part.row_first
    for block in range(first_block + 1, len(rows)):
        is_last = block == len(rows) - 1
        if is_last or rows[block + 1] - rows[first] > most_rows:
            result.append((first, block))
            first = block
    return result
