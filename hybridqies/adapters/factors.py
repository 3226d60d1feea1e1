"""Widths of layers as products of axes: proposals, gates on pairs of axes, and their parameter counts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hybridqies.errors import InputError

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PairGate:
    """A tensor on two axes: a matrix from n_in = d_first d_second numbers to n_out of them."""

    first: int
    second: int
    in_sizes: tuple[int, int]
    out_sizes: tuple[int, int]

    @property
    def n_in(self) -> int:
        """Columns of the matrix."""
        return math.prod(self.in_sizes)

    @property
    def n_out(self) -> int:
        """Rows of the matrix."""
        return math.prod(self.out_sizes)


def pair_gates(in_axes: Sequence[int], out_axes: Sequence[int]) -> tuple[PairGate, ...]:
    """One gate for each pair of axes, the last axes first, as in QuanTA (arXiv:2406.00132).

    Where an axis differs between input and output, a growing axis is resized by its last gate
    and a shrinking one by its first, which takes the fewest parameters.

    Raises
    ------
    InputError: input and output have different numbers of axes, or fewer than two.
    """
    _check_axes(in_axes, out_axes)
    last = len(in_axes) - 1
    pairs = [(first, second) for second, first in itertools.combinations(range(last, -1, -1), 2)]
    turns = [_turn(axis, in_axes[axis], out_axes[axis], pairs) for axis in range(last + 1)]
    gates = []
    for at, (first, second) in enumerate(pairs):
        before = tuple(in_axes[axis] if at <= turns[axis] else out_axes[axis] for axis in (first, second))
        after = tuple(in_axes[axis] if at < turns[axis] else out_axes[axis] for axis in (first, second))
        gates.append(PairGate(first, second, (before[0], before[1]), (after[0], after[1])))
    return tuple(gates)


def count_parameters(in_axes: Sequence[int], out_axes: Sequence[int] | None = None) -> int:
    """Numbers in the gates of one layer: for equal axes the sum over pairs of (d_a d_b)^2."""
    gates = pair_gates(in_axes, in_axes if out_axes is None else out_axes)
    return sum(gate.n_in * gate.n_out for gate in gates)


@lru_cache(maxsize=256)
def propose_axes(width: int, n_axes: int = 3) -> Axes:
    """The near-square factorisation of a width: of all into `n_axes` axes the one of fewest parameters.

    >>> propose_axes(384)
    (8, 8, 6)

    Raises
    ------
    InputError: the width has no `n_axes` factors of at least 2, or `n_axes` is less than 2.
    """
    if n_axes < 2:
        raise InputError(f"{n_axes} axes were asked for", expected="at least 2")
    _check_factors(width, n_axes)
    return min(_factorise(width, n_axes, width), key=count_parameters)


def choose_axes(
    in_width: int, out_width: int, given: Sequence[Sequence[int]] | None, n_axes: int = 3
) -> tuple[Axes, Axes]:
    """The given factorisations whose products are the layer's widths, or a proposal where none are given.

    Raises
    ------
    InputError: factorisations are given, and none makes one of the widths.
    """
    if given is None:
        return propose_axes(in_width, n_axes), propose_axes(out_width, n_axes)
    by_width = {math.prod(axes): tuple(axes) for axes in given}
    for width in (in_width, out_width):
        if width not in by_width:
            products = ", ".join(f"{write_axes(axes)} = {made}" for made, axes in by_width.items())
            raise InputError(
                f"a layer has width {width} and the axes given are {products}",
                expected=f"a factorisation of {width}",
                todo="add one, or leave the axes out to have them proposed",
            )
    chosen = by_width[in_width], by_width[out_width]
    _check_axes(*chosen)
    return chosen


def check_factorisation(axes: Sequence[int]) -> None:
    """Refuses axes that cannot carry gates.

    Raises
    ------
    InputError: fewer than two axes, or one of fewer than 2.
    """
    whole = all(isinstance(axis, int) and not isinstance(axis, bool) and axis >= 2 for axis in axes)
    if len(axes) < 2 or not whole:
        raise InputError(
            f"axes were given as {list(axes)!r}", expected="at least two whole numbers of at least 2"
        )


def write_axes(axes: Sequence[int]) -> str:
    """The axes as 12·8·4."""
    return "·".join(map(str, axes))


def _turn(axis: int, size: int, target: int, pairs: Sequence[tuple[int, int]]) -> int:
    """The gate, by its place in `pairs`, that resizes an axis."""
    own = [at for at, pair in enumerate(pairs) if axis in pair]
    return own[-1] if target >= size else own[0]


def _check_axes(in_axes: Sequence[int], out_axes: Sequence[int]) -> None:
    check_factorisation(in_axes)
    check_factorisation(out_axes)
    if len(in_axes) != len(out_axes):
        raise InputError(
            f"a layer was given the axes {write_axes(in_axes)} for its input "
            f"and {write_axes(out_axes)} for its output",
            expected="as many of one as of the other",
        )


def _check_factors(width: int, n_axes: int) -> None:
    if _count_prime_factors(width) < n_axes:
        raise InputError(
            f"a layer has width {width}, which does not factor into {n_axes} axes",
            expected="a product of that many whole numbers of at least 2",
            todo="give fewer axes, or leave this layer out",
        )


def _count_prime_factors(width: int) -> int:
    count, factor = 0, 2
    while factor * factor <= width:
        if width % factor:
            factor += 1
        else:
            width //= factor
            count += 1
    return count + (width > 1)


def _factorise(width: int, n_axes: int, most: int) -> Iterator[Axes]:
    """Every falling factorisation into `n_axes` numbers from 2 to `most`."""
    if n_axes == 1:
        if 2 <= width <= most:
            yield (width,)
        return
    for first in range(2, min(most, width) + 1):
        if width % first == 0:
            for rest in _factorise(width // first, n_axes - 1, first):
                yield (first, *rest)
