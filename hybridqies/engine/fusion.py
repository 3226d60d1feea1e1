"""Fewer steps for the same expectations: light-cone pruning, fusion of 2x2 matrices, scheduling into blocks.

Everything here is arithmetic over GF(2) on flips and masks. Two steps commute
for certain when neither's masks see the other's flip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hybridqies.engine.lowering import Factor, Fixed, Step

# How far ahead the scheduler looks for steps that may come earlier, in steps a qubit.
_LOOK_AHEAD = 4
# Low bits in every wide block: runs of four amplitudes fill whole cache lines.
_LOW_BITS = 2


def odd(bits: int) -> int:
    """The parity of the number of set bits."""
    return bits.bit_count() & 1


def commute(a: Step, b: Step) -> bool:
    """Whether two steps commute, whatever their angles; False where that is not certain."""
    return not (_sees(a, b.flip) or _sees(b, a.flip))


def _sees(step: Step, flip: int) -> bool:
    return bool(odd(step.mask & flip)) or (step.control is not None and bool(odd(step.control[0] & flip)))


class Span:
    """A subspace of bit vectors over GF(2), as a basis in which each vector's top bit is its own."""

    def __init__(self, vectors: Iterable[int] = ()) -> None:
        self.basis: list[int] = []
        # Every bit that is set in some vector, and perhaps more.
        self.support = 0
        for vector in vectors:
            self.add(vector)

    def __len__(self) -> int:
        return len(self.basis)

    def reduced(self, vector: int) -> int:
        """What is left of `vector` outside the span; 0 inside."""
        for each in self.basis:
            vector = min(vector, vector ^ each)
        return vector

    def add(self, vector: int) -> None:
        """Widens the span by `vector`."""
        left = self.reduced(vector)
        if left:
            top = 1 << (left.bit_length() - 1)
            self.support |= left
            self.basis = sorted([b ^ left if b & top else b for b in self.basis] + [left], reverse=True)

    def sees(self, vector: int) -> bool:
        """Whether some vector of the span has an odd overlap with `vector`."""
        return any(odd(vector & each) for each in self.basis)

    def coordinates(self, vector: int) -> int:
        """Bit j is set where `vector`, one of the span, has basis vector j, counted from the lowest."""
        lowest_first = reversed(self.basis)
        return sum(1 << j for j, each in enumerate(lowest_first) if vector >> (each.bit_length() - 1) & 1)

    def overlaps(self, mask: int) -> int:
        """A mask in the span's coordinates: which basis vectors it has an odd overlap with."""
        return sum(odd(mask & each) << j for j, each in enumerate(reversed(self.basis)))


def prune(steps: Sequence[Step], read: Iterable[tuple[int, int]]) -> list[Step]:
    """The steps that some expectation depends on; `read` has the flip and mask of each observable."""
    return [steps[at] for at in find_needed([Sight.of(step) for step in steps], read).steps]


class Sight(NamedTuple):
    """What decides whether a step commutes with others: the masks it watches; its flip, 0 if it moves none.

    `union` has every bit that some mask has.
    """

    watched: tuple[int, ...]
    union: int
    flip: int

    @classmethod
    def of(cls, step: Step) -> Sight:
        """That of a step."""
        flip = 0 if step.is_diagonal else step.flip
        if step.control is None:
            return cls((step.mask,), step.mask, flip)
        return cls((step.mask, step.control[0]), step.mask | step.control[0], flip)


class Needed(NamedTuple):
    """The numbers of steps, rising, and how many independent vectors their flips and those read are."""

    steps: list[int]
    rank: int


def find_needed(sights: Sequence[Sight], read: Iterable[tuple[int, int]]) -> Needed:
    """The steps that some expectation depends on.

    The steps are walked backwards. Two spans, one of flips and one of masks, hold all observables in the
    Heisenberg picture; a step that commutes with both changes no expectation and is dropped.
    """
    flips, masks = Span(), Span()
    for flip, mask in read:
        flips.add(flip)
        masks.add(mask)
    needed = []
    for at in range(len(sights) - 1, -1, -1):
        watched, union, flip = sights[at]
        # Most steps of a wide circuit are far away from one observable.
        if not (flip & masks.support or union & flips.support):
            continue
        if masks.sees(flip) or any(flips.sees(each) for each in watched):
            needed.append(at)
            flips.add(flip)
            for each in watched:
                masks.add(each)
    return Needed(needed[::-1], len(flips))


def fuse(steps: Sequence[Step]) -> list[Step]:
    """Neighbours on the same pairs of amplitudes become one step, across steps that commute with them."""
    fused: list[Step] = []
    last: dict[tuple[int, int, tuple[int, int] | None], int] = {}
    for step in steps:
        key = (step.flip, step.mask, step.control)
        at = last.get(key)
        if at is not None and all(commute(step, other) for other in reversed(fused[at + 1 :])):
            fused[at] = replace(fused[at], factors=fused[at].factors + step.factors)
        else:
            last[key] = len(fused)
            fused.append(step)
    return [replace(step, factors=joined(step.factors)) for step in fused]


def joined(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """The same product of factors with fixed neighbours multiplied out."""
    result: list[Factor] = []
    for factor in factors:
        last = result[-1] if result else None
        if isinstance(factor, Fixed) and isinstance(last, Fixed):
            result[-1] = Fixed(factor.matrix @ last.matrix)
        else:
            result.append(factor)
    return tuple(result)


def is_identity(step: Step) -> bool:
    """Whether a step does nothing at all."""
    return all(isinstance(f, Fixed) and np.array_equal(f.matrix, np.eye(2)) for f in step.factors)


def split_product(steps: Sequence[Step], n_qubits: int) -> tuple[dict[int, Step], list[Step]]:
    """The steps that make a product state out of |0…0⟩, by the bit that they turn, and the others."""
    product: dict[int, Step] = {}
    others: list[Step] = []
    for at, step in enumerate(steps):
        if len(product) == n_qubits or len(others) > _LOOK_AHEAD * n_qubits:
            return product, others + list(steps[at:])
        bit = step.flip.bit_length() - 1
        alone = step.control is None and step.flip == step.mask == 1 << bit
        if alone and bit not in product and all(commute(step, other) for other in others):
            product[bit] = step
        else:
            others.append(step)
    return product, others


@dataclass(frozen=True, slots=True)
class Block:
    """Steps whose flips lie in one span: they act within cosets of 2**len(span) amplitudes."""

    span: Span
    steps: tuple[Step, ...]


def blocks(steps: Sequence[Step], n_qubits: int, width: int) -> list[Block]:
    """The steps in blocks that flip at most `width` independent vectors each, taken greedily in order.

    A step may come before others that it commutes with. Wide spans begin with the lowest
    bits, and all are filled up to the full width with them: a coset is then made of
    runs of amplitudes that lie together in memory.
    """
    low = _LOW_BITS if width > 4 * _LOW_BITS else 0
    waiting, result = list(steps), []
    while waiting:
        span, taken, left = Span(1 << bit for bit in range(low)), list[Step](), list[Step]()
        for at, step in enumerate(waiting):
            if len(left) > _LOOK_AHEAD * n_qubits:
                left += waiting[at:]
                break
            fits = len(span) < width or not span.reduced(step.flip)
            if fits and all(commute(step, other) for other in left):
                span.add(step.flip)
                taken.append(step)
            else:
                left.append(step)
        _widen(span, n_qubits, width)
        result.append(Block(span, tuple(taken)))
        waiting = left
    return result


def _widen(span: Span, n_qubits: int, width: int) -> None:
    for bit in range(n_qubits):
        if len(span) >= min(width, n_qubits):
            return
        span.add(1 << bit)
