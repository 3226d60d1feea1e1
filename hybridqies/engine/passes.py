"""One op of a plan, forward or backward, on the amplitudes of one tile or coset.

`matrices` are those of the steps, shared and batched (see `coefficients`). `ahead` says which
memory to prefetch: () for none, or (places, start, done, ket) or (places, start, done, ket, bra),
where the amplitudes start ^ places[done] and on come next.
"""

from __future__ import annotations

from typing import Any

from hybridqies.engine.amplitudes import adjoint, get, matrix, mix, pauli_gradients, put
from hybridqies.engine.jit import chosen_by_type, part
from hybridqies.engine.plan import Op
from hybridqies.engine.vectors import parity, prefetch, splat, store

# Of a cache line.
_LINE_BITS = 512
_FIRST, _SECOND, _CONDITIONS = (Op._fields.index(name) for name in ("first", "second", "conditions"))
_PIVOT0, _PIVOT1 = Op._fields.index("pivot0"), Op._fields.index("pivot1")
_MASK0, _OUTER0, _TARGET0, _SHIFT0 = range(Op._fields.index("mask0"), Op._fields.index("shift0") + 1)
_MASK1, _OUTER1, _TARGET1, _SHIFT1 = range(Op._fields.index("mask1"), Op._fields.index("shift1") + 1)
_FLIP0, _FLIP1, _CROSSED = (Op._fields.index(name) for name in ("flip0", "flip1", "crossed"))
_GUARD, _GUARD_VALUE = Op._fields.index("guard"), Op._fields.index("guard_value")


@part
def _insert_zero(k: int, pivot: int) -> Any:
    return ((k >> pivot) << (pivot + 1)) | (k & ((1 << pivot) - 1))


@part
def _first_of_one(k: int, op: Any, turn0: int) -> Any:
    row = _insert_zero(k, op[_PIVOT0])
    return row ^ (op[_SHIFT0] & -(parity(op[_MASK0] & row) ^ turn0))


@part
def _first_of_two(k: int, op: Any, turn0: int, turn1: int) -> Any:
    row = _insert_zero(_insert_zero(k, op[_PIVOT0]), op[_PIVOT1])
    shift0 = op[_SHIFT0] & -(parity(op[_MASK0] & row) ^ turn0)
    shift1 = op[_SHIFT1] & -(parity(op[_MASK1] & row) ^ turn1)
    return row ^ shift0 ^ shift1


@part
def is_idle(op: Any, base: int) -> Any:
    """Whether a control that a whole coset shares keeps the step from acting on it."""
    return op[_GUARD] != 0 and parity(op[_GUARD] & base) != op[_GUARD_VALUE]


@part
def mix_two(m: Any, is_crossed: bool, a: Any, b: Any, c: Any, d: Any) -> Any:
    """One matrix on two pairs, the second the other way round where it is crossed."""
    a, b = mix(m, a, b)
    if is_crossed:
        d, c = mix(m, d, c)
    else:
        c, d = mix(m, c, d)
    return a, b, c, d


def fetch(ahead: Any, k: Any, shape: Any) -> None:
    """Prefetches one cache line of the next coset's amplitudes."""
    raise NotImplementedError


@chosen_by_type(fetch)
def _fetch(ahead: Any, k: Any, shape: Any) -> Any:
    if len(ahead) == 0:
        return lambda ahead, k, shape: None
    width = len(shape[0]) * len(shape[1])
    # Neighbours in memory are neighbours in `places`, too: the lowest bits are in every coset.
    step = max(1, _LINE_BITS // (width * ahead[3].dtype.bitwidth))

    has_bra = len(ahead) == 5

    def fetch_line(ahead: Any, k: Any, shape: Any) -> None:
        at = (ahead[2] + k) * step
        if at < len(ahead[0]):
            prefetch(ahead[3], (ahead[1] ^ ahead[0][at]) * width)
            if has_bra:
                # The last entry is the bra here; indexed so that a tuple without one compiles, too.
                prefetch(ahead[-1], (ahead[1] ^ ahead[0][at]) * width)

    return fetch_line


@part
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
    # One loop for each case: a branch inside the loop would be slower.
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


@part
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


@part
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
    """One op of the backward pass: both states go back through it; `sums` (2, 3, lanes) takes its gradients.

    Adjoint differentiation (Jones and Gacon, arXiv:2009.02823): no intermediate state is stored.
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


@part
def _undo_pair(r0: int, r1: int, m: Any, ket: Any, bra: Any, sums: Any, shape: Any) -> Any:
    a, b = get(ket, r0, shape), get(ket, r1, shape)
    c, d = get(bra, r0, shape), get(bra, r1, shape)
    sums = pauli_gradients(c, d, a, b, sums)
    a, b = mix(m, a, b)
    c, d = mix(m, c, d)
    put(ket, r0, a, shape)
    put(ket, r1, b, shape)
    put(bra, r0, c, shape)
    put(bra, r1, d, shape)
    return sums


@part
def _gradients_two(
    is_crossed: bool, e: Any, f: Any, g: Any, h: Any, a: Any, b: Any, c: Any, d: Any, sums: Any
) -> Any:
    """The gradients of one step on two pairs of the bra (e, f), (g, h) and the ket (a, b), (c, d)."""
    sums = pauli_gradients(e, f, a, b, sums)
    return pauli_gradients(h, g, d, c, sums) if is_crossed else pauli_gradients(g, h, c, d, sums)


@part
def _undo_commuting(
    r0: int, flips: Any, m: Any, n: Any, ket: Any, bra: Any, first: Any, second: Any, shape: Any
) -> Any:
    # All gradients come before either step is undone: ket and bra then use the registers in turn.
    r1, r2 = r0 ^ flips[0], r0 ^ flips[1]
    r3 = r1 ^ flips[1]
    a, b, c, d = get(ket, r0, shape), get(ket, r1, shape), get(ket, r2, shape), get(ket, r3, shape)
    e, f, g, h = get(bra, r0, shape), get(bra, r1, shape), get(bra, r2, shape), get(bra, r3, shape)
    first = pauli_gradients(g, h, c, d, pauli_gradients(e, f, a, b, first))
    second = pauli_gradients(f, h, b, d, pauli_gradients(e, g, a, c, second))
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


@part
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
    second = _gradients_two(second_crossed, e, g, f, h, a, c, b, d, second)
    a, c, b, d = mix_two(n, second_crossed, a, c, b, d)
    e, g, f, h = mix_two(n, second_crossed, e, g, f, h)
    first = _gradients_two(first_crossed, e, f, g, h, a, b, c, d, first)
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


@part
def _write(sums: Any, step: int, values: Any, shape: Any) -> None:
    width = len(shape[0])
    store(sums, step * 3 * width, values[0])
    store(sums, (step * 3 + 1) * width, values[1])
    store(sums, (step * 3 + 2) * width, values[2])
