"""What is done to amplitudes, a vector of samples at a time.

A tile holds one state a lane: amplitude p of the flat array lies at p * planes * lanes, its
real plane first. Real circuits have one plane, and half the memory and a quarter of the
arithmetic. `shape` is (lanes, planes), two tuples of None whose lengths are meant;
`matrices` are those of the steps, shared and batched (see `coefficients`). `ahead` says what to
ask memory for on the way: () for nothing, or (places, start, done, ket) or (places, start, done,
ket, bra), of which amplitudes start ^ places[done] and on come next.
"""

from __future__ import annotations

from typing import Any

from hybridqies.engine.jit import chosen_by_type, kernel
from hybridqies.engine.plan import Op
from hybridqies.engine.vectors import fma, fnma, load, mul, neg, parity, prefetch, splat, store

# Of a cache line.
_LINE_BITS = 512
_FIRST, _SECOND, _CONDITIONS = (Op._fields.index(name) for name in ("first", "second", "conditions"))
_PIVOT0, _PIVOT1 = Op._fields.index("pivot0"), Op._fields.index("pivot1")
_MASK0, _OUTER0, _TARGET0, _SHIFT0 = range(Op._fields.index("mask0"), Op._fields.index("shift0") + 1)
_MASK1, _OUTER1, _TARGET1, _SHIFT1 = range(Op._fields.index("mask1"), Op._fields.index("shift1") + 1)
_FLIP0, _FLIP1, _CROSSED = (Op._fields.index(name) for name in ("flip0", "flip1", "crossed"))
_GUARD, _GUARD_VALUE = Op._fields.index("guard"), Op._fields.index("guard_value")


def get(tile: Any, row: Any, shape: Any) -> Any:
    """Amplitude `row` of a tile, as a tuple of its planes."""
    raise NotImplementedError


@chosen_by_type(get)
def _get(tile: Any, row: Any, shape: Any) -> Any:
    if len(shape[1]) == 1:
        return lambda tile, row, shape: (load(tile, row * len(shape[0]), shape[0]),)
    return lambda tile, row, shape: (
        load(tile, row * 2 * len(shape[0]), shape[0]),
        load(tile, (row * 2 + 1) * len(shape[0]), shape[0]),
    )


def put(tile: Any, row: Any, value: Any, shape: Any) -> Any:
    """Writes amplitude `row` of a tile."""
    raise NotImplementedError


@chosen_by_type(put)
def _put(tile: Any, row: Any, value: Any, shape: Any) -> Any:
    if len(value) == 1:
        return lambda tile, row, value, shape: store(tile, row * len(shape[0]), value[0])

    def both(tile: Any, row: Any, value: Any, shape: Any) -> None:
        store(tile, row * 2 * len(shape[0]), value[0])
        store(tile, (row * 2 + 1) * len(shape[0]), value[1])

    return both


def spread(numbers: Any, at: Any, shape: Any) -> Any:
    """Number `at` of a flat array of planes, in every lane."""
    raise NotImplementedError


@chosen_by_type(spread)
def _spread(numbers: Any, at: Any, shape: Any) -> Any:
    if len(shape[1]) == 1:
        return lambda numbers, at, shape: (splat(numbers, numbers[at], shape[0]),)
    return lambda numbers, at, shape: (
        splat(numbers, numbers[2 * at], shape[0]),
        splat(numbers, numbers[2 * at + 1], shape[0]),
    )


def times(a: Any, b: Any) -> Any:
    """The product of two amplitudes."""
    raise NotImplementedError


@chosen_by_type(times)
def _times(a: Any, b: Any) -> Any:
    if len(a) == 1:
        return lambda a, b: (mul(a[0], b[0]),)
    return lambda a, b: (fnma(a[1], b[1], mul(a[0], b[0])), fma(a[1], b[0], mul(a[0], b[1])))


def plus_times(a: Any, b: Any, c: Any) -> Any:
    """The product of two amplitudes, plus a third."""
    raise NotImplementedError


@chosen_by_type(plus_times)
def _plus_times(a: Any, b: Any, c: Any) -> Any:
    if len(a) == 1:
        return lambda a, b, c: (fma(a[0], b[0], c[0]),)
    return lambda a, b, c: (
        fnma(a[1], b[1], fma(a[0], b[0], c[0])),
        fma(a[1], b[0], fma(a[0], b[1], c[1])),
    )


def conjugate(a: Any) -> Any:
    """The complex conjugate."""
    raise NotImplementedError


@chosen_by_type(conjugate)
def _conjugate(a: Any) -> Any:
    if len(a) == 1:
        return lambda a: a
    return lambda a: (a[0], neg(a[1]))


def slopes(l0: Any, l1: Any, s0: Any, s1: Any, sums: Any) -> Any:
    """Adds Im <l| P |s> of one pair of amplitudes for P = X, Y, Z; real states have Y alone."""
    raise NotImplementedError


@chosen_by_type(slopes)
def _slopes(l0: Any, l1: Any, s0: Any, s1: Any, sums: Any) -> Any:
    if len(l0) == 1:
        return lambda l0, l1, s0, s1, sums: (sums[0], fma(l1[0], s0[0], fnma(l0[0], s1[0], sums[1])), sums[2])

    def three(l0: Any, l1: Any, s0: Any, s1: Any, sums: Any) -> Any:
        x = fma(l0[0], s1[1], fnma(l0[1], s1[0], fma(l1[0], s0[1], fnma(l1[1], s0[0], sums[0]))))
        y = fnma(l0[0], s1[0], fnma(l0[1], s1[1], fma(l1[0], s0[0], fma(l1[1], s0[1], sums[1]))))
        z = fma(l0[0], s0[1], fnma(l0[1], s0[0], fnma(l1[0], s1[1], fma(l1[1], s1[0], sums[2]))))
        return x, y, z

    return three


@kernel
def matrix(slot: int, matrices: Any, shape: Any) -> Any:
    """The four entries of a step's matrix."""
    if slot < 0:
        at, shared = ~slot * 4, matrices[0]
        return (
            spread(shared, at, shape),
            spread(shared, at + 1, shape),
            spread(shared, at + 2, shape),
            spread(shared, at + 3, shape),
        )
    at, own = slot * 4, matrices[1]
    return get(own, at, shape), get(own, at + 1, shape), get(own, at + 2, shape), get(own, at + 3, shape)


@kernel
def adjoint(m: Any) -> Any:
    """The inverse of a unitary matrix."""
    return conjugate(m[0]), conjugate(m[2]), conjugate(m[1]), conjugate(m[3])


@kernel
def mix(m: Any, a: Any, b: Any) -> Any:
    """A matrix times a pair of amplitudes."""
    return plus_times(m[1], b, times(m[0], a)), plus_times(m[3], b, times(m[2], a))


@kernel
def _inserted(k: int, pivot: int) -> Any:
    return ((k >> pivot) << (pivot + 1)) | (k & ((1 << pivot) - 1))


@kernel
def _first_of_one(k: int, op: Any, turn0: int) -> Any:
    row = _inserted(k, op[_PIVOT0])
    return row ^ (op[_SHIFT0] & -(parity(op[_MASK0] & row) ^ turn0))


@kernel
def _first_of_two(k: int, op: Any, turn0: int, turn1: int) -> Any:
    row = _inserted(_inserted(k, op[_PIVOT0]), op[_PIVOT1])
    shift0 = op[_SHIFT0] & -(parity(op[_MASK0] & row) ^ turn0)
    shift1 = op[_SHIFT1] & -(parity(op[_MASK1] & row) ^ turn1)
    return row ^ shift0 ^ shift1


@kernel
def is_idle(op: Any, base: int) -> Any:
    """Whether a control that a whole coset shares keeps the step from acting on it."""
    return op[_GUARD] != 0 and parity(op[_GUARD] & base) != op[_GUARD_VALUE]


@kernel
def mix_two(m: Any, is_crossed: bool, a: Any, b: Any, c: Any, d: Any) -> Any:
    """One matrix on two pairs, the second the other way round where it is crossed."""
    a, b = mix(m, a, b)
    if is_crossed:
        d, c = mix(m, d, c)
    else:
        c, d = mix(m, c, d)
    return a, b, c, d


def fetch(ahead: Any, k: Any, shape: Any) -> None:
    """Asks for a cache line's amplitudes of the next coset while this one is worked on."""
    raise NotImplementedError


@chosen_by_type(fetch)
def _fetch(ahead: Any, k: Any, shape: Any) -> Any:
    if len(ahead) == 0:
        return lambda ahead, k, shape: None
    width = len(shape[0]) * len(shape[1])
    # Neighbours in memory are neighbours in `places`, too: the lowest bits are in every coset.
    step = max(1, _LINE_BITS // (width * ahead[3].dtype.bitwidth))

    def of_ket(ahead: Any, k: Any, shape: Any) -> None:
        at = (ahead[2] + k) * step
        if at < len(ahead[0]):
            prefetch(ahead[3], (ahead[1] ^ ahead[0][at]) * width)

    def of_both(ahead: Any, k: Any, shape: Any) -> None:
        at = (ahead[2] + k) * step
        if at < len(ahead[0]):
            prefetch(ahead[3], (ahead[1] ^ ahead[0][at]) * width)
            prefetch(ahead[4], (ahead[1] ^ ahead[0][at]) * width)

    return of_ket if len(ahead) == 4 else of_both


@kernel
def apply(
    op: Any, slots: Any, n_bits: int, base: int, matrices: Any, tile: Any, ahead: Any, shape: Any
) -> None:
    """One op of the forward pass, in place, on 2**n_bits amplitudes of the coset at `base`."""
    turn0 = parity(op[_OUTER0] & base) ^ op[_TARGET0]
    turn1 = parity(op[_OUTER1] & base) ^ op[_TARGET1]
    flip0, flip1 = op[_FLIP0], op[_FLIP1]
    m = matrix(slots[op[_FIRST]], matrices, shape)
    if op[_SECOND] < 0:
        alone = op[_CONDITIONS] == 1
        for k in range(1 << (n_bits - op[_CONDITIONS])):
            fetch(ahead, k, shape)
            r0 = _first_of_one(k, op, turn0) if alone else _first_of_two(k, op, turn0, turn1)
            a, b = mix(m, get(tile, r0, shape), get(tile, r0 ^ flip0, shape))
            put(tile, r0, a, shape)
            put(tile, r0 ^ flip0, b, shape)
        return
    n = matrix(slots[op[_SECOND]], matrices, shape)
    # Three loops, so that each is straight code.
    if op[_CROSSED] == 0:
        for k in range(1 << (n_bits - 2)):
            fetch(ahead, k, shape)
            _apply_four(_first_of_two(k, op, turn0, turn1), flip0, flip1, False, False, m, n, tile, shape)
    elif op[_CROSSED] == 1:
        for k in range(1 << (n_bits - 2)):
            fetch(ahead, k, shape)
            _apply_four(_first_of_two(k, op, turn0, turn1), flip0, flip1, True, False, m, n, tile, shape)
    else:
        for k in range(1 << (n_bits - 2)):
            fetch(ahead, k, shape)
            _apply_four(_first_of_two(k, op, turn0, turn1), flip0, flip1, False, True, m, n, tile, shape)


@kernel
def _apply_four(
    r0: int,
    flip0: int,
    flip1: int,
    first_crossed: bool,
    second_crossed: bool,
    m: Any,
    n: Any,
    tile: Any,
    shape: Any,
) -> None:
    r1, r2 = r0 ^ flip0, r0 ^ flip1
    r3 = r1 ^ flip1
    a, b, c, d = get(tile, r0, shape), get(tile, r1, shape), get(tile, r2, shape), get(tile, r3, shape)
    a, b, c, d = mix_two(m, first_crossed, a, b, c, d)
    a, c, b, d = mix_two(n, second_crossed, a, c, b, d)
    put(tile, r0, a, shape)
    put(tile, r1, b, shape)
    put(tile, r2, c, shape)
    put(tile, r3, d, shape)


@kernel
def undo(
    op: Any,
    slots: Any,
    n_bits: int,
    base: int,
    matrices: Any,
    ket: Any,
    bra: Any,
    sums: Any,
    ahead: Any,
    shape: Any,
) -> None:
    """One op of the backward pass: both states go back through it; `sums` (2, 3, lanes) takes its slopes.

    Adjoint differentiation (Jones and Gacon, arXiv:2009.02823): nothing is stored a step.
    """
    turn0 = parity(op[_OUTER0] & base) ^ op[_TARGET0]
    turn1 = parity(op[_OUTER1] & base) ^ op[_TARGET1]
    m = adjoint(matrix(slots[op[_FIRST]], matrices, shape))
    zero = splat(ket, 0.0, shape[0])
    first, second = (zero, zero, zero), (zero, zero, zero)
    if op[_SECOND] < 0:
        alone = op[_CONDITIONS] == 1
        for k in range(1 << (n_bits - op[_CONDITIONS])):
            fetch(ahead, k, shape)
            r0 = _first_of_one(k, op, turn0) if alone else _first_of_two(k, op, turn0, turn1)
            first = _undo_pair(r0, r0 ^ op[_FLIP0], m, ket, bra, first, shape)
    else:
        n = adjoint(matrix(slots[op[_SECOND]], matrices, shape))
        flips = (op[_FLIP0], op[_FLIP1])
        if op[_CROSSED] == 0:
            for k in range(1 << (n_bits - 2)):
                fetch(ahead, k, shape)
                r0 = _first_of_two(k, op, turn0, turn1)
                first, second = _undo_commuting(r0, flips, m, n, ket, bra, first, second, shape)
        elif op[_CROSSED] == 1:
            for k in range(1 << (n_bits - 2)):
                fetch(ahead, k, shape)
                r0 = _first_of_two(k, op, turn0, turn1)
                first, second = _undo_four(r0, flips, True, False, m, n, ket, bra, first, second, shape)
        else:
            for k in range(1 << (n_bits - 2)):
                fetch(ahead, k, shape)
                r0 = _first_of_two(k, op, turn0, turn1)
                first, second = _undo_four(r0, flips, False, True, m, n, ket, bra, first, second, shape)
        _write(sums, 1, second, shape)
    _write(sums, 0, first, shape)


@kernel
def _undo_pair(r0: int, r1: int, m: Any, ket: Any, bra: Any, sums: Any, shape: Any) -> Any:
    a, b = get(ket, r0, shape), get(ket, r1, shape)
    c, d = get(bra, r0, shape), get(bra, r1, shape)
    sums = slopes(c, d, a, b, sums)
    a, b = mix(m, a, b)
    c, d = mix(m, c, d)
    put(ket, r0, a, shape)
    put(ket, r1, b, shape)
    put(bra, r0, c, shape)
    put(bra, r1, d, shape)
    return sums


@kernel
def _slopes_two(
    is_crossed: bool, e: Any, f: Any, g: Any, h: Any, a: Any, b: Any, c: Any, d: Any, sums: Any
) -> Any:
    """The slopes of one step on two pairs of the bra (e, f), (g, h) and the ket (a, b), (c, d)."""
    sums = slopes(e, f, a, b, sums)
    return slopes(h, g, d, c, sums) if is_crossed else slopes(g, h, c, d, sums)


@kernel
def _undo_commuting(
    r0: int, flips: Any, m: Any, n: Any, ket: Any, bra: Any, first: Any, second: Any, shape: Any
) -> Any:
    # All slopes before either step is undone: then ket and bra need the registers one after the other.
    r1, r2 = r0 ^ flips[0], r0 ^ flips[1]
    r3 = r1 ^ flips[1]
    a, b, c, d = get(ket, r0, shape), get(ket, r1, shape), get(ket, r2, shape), get(ket, r3, shape)
    e, f, g, h = get(bra, r0, shape), get(bra, r1, shape), get(bra, r2, shape), get(bra, r3, shape)
    first = slopes(g, h, c, d, slopes(e, f, a, b, first))
    second = slopes(f, h, b, d, slopes(e, g, a, c, second))
    a, b, c, d = mix_two(m, False, a, b, c, d)
    a, c, b, d = mix_two(n, False, a, c, b, d)
    put(ket, r0, a, shape)
    put(ket, r1, b, shape)
    put(ket, r2, c, shape)
    put(ket, r3, d, shape)
    e, f, g, h = mix_two(m, False, e, f, g, h)
    e, g, f, h = mix_two(n, False, e, g, f, h)
    put(bra, r0, e, shape)
    put(bra, r1, f, shape)
    put(bra, r2, g, shape)
    put(bra, r3, h, shape)
    return first, second


@kernel
def _undo_four(
    r0: int,
    flips: Any,
    first_crossed: bool,
    second_crossed: bool,
    m: Any,
    n: Any,
    ket: Any,
    bra: Any,
    first: Any,
    second: Any,
    shape: Any,
) -> Any:
    r1, r2 = r0 ^ flips[0], r0 ^ flips[1]
    r3 = r1 ^ flips[1]
    a, b, c, d = get(ket, r0, shape), get(ket, r1, shape), get(ket, r2, shape), get(ket, r3, shape)
    e, f, g, h = get(bra, r0, shape), get(bra, r1, shape), get(bra, r2, shape), get(bra, r3, shape)
    second = _slopes_two(second_crossed, e, g, f, h, a, c, b, d, second)
    a, c, b, d = mix_two(n, second_crossed, a, c, b, d)
    e, g, f, h = mix_two(n, second_crossed, e, g, f, h)
    first = _slopes_two(first_crossed, e, f, g, h, a, b, c, d, first)
    a, b, c, d = mix_two(m, first_crossed, a, b, c, d)
    e, f, g, h = mix_two(m, first_crossed, e, f, g, h)
    put(ket, r0, a, shape)
    put(ket, r1, b, shape)
    put(ket, r2, c, shape)
    put(ket, r3, d, shape)
    put(bra, r0, e, shape)
    put(bra, r1, f, shape)
    put(bra, r2, g, shape)
    put(bra, r3, h, shape)
    return first, second


@kernel
def _write(sums: Any, step: int, values: Any, shape: Any) -> None:
    width = len(shape[0])
    store(sums, step * 3 * width, values[0])
    store(sums, (step * 3 + 1) * width, values[1])
    store(sums, (step * 3 + 2) * width, values[2])
