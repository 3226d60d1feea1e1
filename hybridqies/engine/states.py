"""Where a tile's states come from and what is read from them: product states, amplitudes, observables."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridqies.engine.amplitudes import conjugate, get, matrix, plus_times, put, times
from hybridqies.engine.jit import chosen_by_type, kernel, part
from hybridqies.engine.vectors import add, fma, fnma, load, mul, neg, parity, splat, store

# Rows whose terms are added in the state's own precision before the sum goes on in double.
_RUN = 64


def one(tile: Any, shape: Any) -> Any:
    """The amplitude 1."""
    raise NotImplementedError


@chosen_by_type(one)
def _one(tile: Any, shape: Any) -> Any:
    if len(shape[1]) == 1:
        return lambda tile, shape: (splat(tile, 1.0, shape[0]),)
    return lambda tile, shape: (splat(tile, 1.0, shape[0]), splat(tile, 0.0, shape[0]))


def square(a: Any) -> Any:
    """The squared modulus of an amplitude."""
    raise NotImplementedError


@chosen_by_type(square)
def _square(a: Any) -> Any:
    if len(a) == 1:
        return lambda a: mul(a[0], a[0])
    return lambda a: fma(a[1], a[1], mul(a[0], a[0]))


def overlap(a: Any, b: Any, imaginary: Any) -> Any:
    """The real part of conj(a) b, or of i conj(a) b."""
    raise NotImplementedError


@chosen_by_type(overlap)
def _overlap(a: Any, b: Any, imaginary: Any) -> Any:
    if len(a) == 1:
        return lambda a, b, imaginary: mul(a[0], b[0])

    def either(a: Any, b: Any, imaginary: Any) -> Any:
        if imaginary:
            return fnma(a[0], b[1], mul(a[1], b[0]))
        return fma(a[1], b[1], mul(a[0], b[0]))

    return either


def turned(a: Any, imaginary: Any) -> Any:
    """An amplitude, or i times it."""
    raise NotImplementedError


@chosen_by_type(turned)
def _turned(a: Any, imaginary: Any) -> Any:
    if len(a) == 1:
        return lambda a, imaginary: a
    return lambda a, imaginary: (neg(a[1]), a[0]) if imaginary else a


def scaled(a: Any, factor: Any) -> Any:
    """An amplitude times a real vector."""
    raise NotImplementedError


@chosen_by_type(scaled)
def _scaled(a: Any, factor: Any) -> Any:
    if len(a) == 1:
        return lambda a, factor: (mul(a[0], factor),)
    return lambda a, factor: (mul(a[0], factor), mul(a[1], factor))


def plus_scaled(a: Any, factor: Any, b: Any) -> Any:
    """A times a real vector, plus b."""
    raise NotImplementedError


@chosen_by_type(plus_scaled)
def _plus_scaled(a: Any, factor: Any, b: Any) -> Any:
    if len(a) == 1:
        return lambda a, factor, b: (fma(a[0], factor, b[0]),)
    return lambda a, factor, b: (fma(a[0], factor, b[0]), fma(a[1], factor, b[1]))


@part
def _column(step: int, slots: Any, matrices: Any, tile: Any, shape: Any) -> Any:
    """What a step makes of |0⟩: its amplitudes on 0 and on 1; the step -1 does nothing."""
    if step < 0:
        unit = one(tile, shape)
        return unit, scaled(unit, splat(tile, 0.0, shape[0]))
    m = matrix(slots[step], matrices, shape)
    return m[0], m[2]


@kernel
def grow_product(
    step: int,
    bit: int,
    first: int,
    last: int,
    source: int,
    target: int,
    slots: Any,
    matrices: Any,
    tile: Any,
    shape: Any,
) -> None:
    """Grows a product state of `bit` bits at row `source` by a bit, to row `target`; rows first..last."""
    u0, u1 = _column(step, slots, matrices, tile, shape)
    for p in range(first, last):
        below = get(tile, source + p, shape)
        put(tile, target + p, times(u0, below), shape)
        put(tile, target + (1 << bit) + p, times(u1, below), shape)


@kernel
def shrink_product(
    step: int,
    bit: int,
    first: int,
    last: int,
    slots: Any,
    matrices: Any,
    ket: Any,
    bra: Any,
    sums: Any,
    shape: Any,
) -> None:
    """Takes the top bit off `bra`, for rows first..last, and writes the gradients of its step into `sums`.

    The product state of the bits below has to stand at row 2**bit of `ket`.
    """
    u0, u1 = _column(step, slots, matrices, ket, shape)
    v0, v1 = conjugate(u0), conjugate(u1)
    zero = scaled(u0, splat(ket, 0.0, shape[0]))
    c0, c1 = zero, zero
    for p in range(first, last):
        below = get(ket, (1 << bit) + p, shape)
        low, high = get(bra, p, shape), get(bra, (1 << bit) + p, shape)
        c0 = plus_times(conjugate(low), below, c0)
        c1 = plus_times(conjugate(high), below, c1)
        put(bra, p, plus_times(v1, high, times(v0, low)), shape)
    x, y, z = column_gradients(u0, u1, c0, c1)
    store(sums, 0, x)
    store(sums, len(shape[0]), y)
    store(sums, 2 * len(shape[0]), z)


def column_gradients(u0: Any, u1: Any, c0: Any, c1: Any) -> Any:
    """Im sum_b (P u)_b c_b for P = X, Y, Z."""
    raise NotImplementedError


@chosen_by_type(column_gradients)
def _column_gradients(u0: Any, u1: Any, c0: Any, c1: Any) -> Any:
    def only_y(u0: Any, u1: Any, c0: Any, c1: Any) -> Any:
        y = fnma(u1[0], c0[0], mul(u0[0], c1[0]))
        zero = add(y, neg(y))
        return zero, y, zero

    def all_three(u0: Any, u1: Any, c0: Any, c1: Any) -> Any:
        x = fma(u1[0], c0[1], fma(u1[1], c0[0], fma(u0[0], c1[1], mul(u0[1], c1[0]))))
        y = fnma(u1[0], c0[0], fma(u1[1], c0[1], fnma(u0[1], c1[1], mul(u0[0], c1[0]))))
        z = fma(u0[0], c0[1], fma(u0[1], c0[0], fnma(u1[0], c1[1], neg(mul(u1[1], c1[0])))))
        return x, y, z

    return only_y if len(u0) == 1 else all_three


@kernel
def load_amplitudes(amplitudes: Any, start: int, first: int, last: int, tile: Any, shape: Any) -> None:
    """Writes rows first..last of a tile from amplitudes (B, 2**n, planes); lanes beyond the batch are 0."""
    lanes, planes, given = len(shape[0]), len(shape[1]), amplitudes.shape[2]
    for p in range(first, last):
        for q in range(planes):
            for lane in range(lanes):
                there = start + lane < len(amplitudes) and q < given
                tile[(p * planes + q) * lanes + lane] = amplitudes[start + lane, p, q] if there else 0


@kernel
def store_amplitudes(amplitudes: Any, start: int, first: int, last: int, tile: Any, shape: Any) -> None:
    """Writes twice the rows first..last of a tile into amplitudes (B, 2**n, planes or 1)."""
    lanes, planes = len(shape[0]), len(shape[1])
    for p in range(first, last):
        for q in range(amplitudes.shape[2]):
            for lane in range(min(lanes, len(amplitudes) - start)):
                amplitudes[start + lane, p, q] = 2 * tile[(p * planes + q) * lanes + lane]


@kernel
def measure(observables: Any, first: int, last: int, tile: Any, values: Any, shape: Any) -> None:
    """Adds what rows first..last contribute to each ⟨P⟩ to `values` (M, lanes), in double."""
    lanes, width = shape[0], len(shape[0])
    squares, sums = np.empty(_RUN * width, tile.dtype), np.empty(width, tile.dtype)
    for start in range(first, last, _RUN):
        end = min(start + _RUN, last)
        for p in range(start, end):
            store(squares, (p - start) * width, square(get(tile, p, shape)))
        for m in range(len(observables)):
            flip, mask, n_y = observables[m, 0], observables[m, 1], observables[m, 2]
            total = splat(tile, 0.0, lanes)
            for p in range(start, end):
                sign = splat(tile, 1.0 - 2.0 * parity(p & mask), lanes)
                if flip == 0:
                    total = fma(load(squares, (p - start) * width, lanes), sign, total)
                else:
                    left, right = get(tile, p ^ flip, shape), get(tile, p, shape)
                    total = fma(overlap(left, right, n_y & 1), sign, total)
            store(sums, 0, total)
            factor = observables[m, 3] * (1 - (n_y & 2))
            for lane in range(width):
                values[m, lane] += factor * sums[lane]


@kernel
def start_bra(observables: Any, first: int, last: int, weights: Any, ket: Any, bra: Any, shape: Any) -> None:
    """Writes rows first..last of sum_m weights_m P_m |ket⟩; `weights` (M, lanes) is flat."""
    lanes, width = shape[0], len(shape[0])
    for p in range(first, last):
        own = splat(ket, 0.0, lanes)
        total = scaled(get(ket, p, shape), own)
        for m in range(len(observables)):
            flip, mask, n_y = observables[m, 0], observables[m, 1], observables[m, 2]
            factor = observables[m, 3] * (1 - (n_y & 2)) * (1.0 - 2.0 * parity((p ^ flip) & mask))
            if flip == 0:
                own = fma(load(weights, m * width, lanes), splat(ket, factor, lanes), own)
            else:
                weight = mul(load(weights, m * width, lanes), splat(ket, factor, lanes))
                total = plus_scaled(turned(get(ket, p ^ flip, shape), n_y & 1), weight, total)
        put(bra, p, plus_scaled(get(ket, p, shape), own, total), shape)
