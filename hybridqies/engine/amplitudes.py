"""Arithmetic on amplitudes, a vector of samples at a time.

A tile holds one state a lane: amplitude p of the flat array lies at p * planes * lanes, its
real plane first. Real circuits have one plane, and half the memory and a quarter of the
arithmetic. `shape` is (lanes, planes): two tuples of None, of which only the lengths count.
"""

from __future__ import annotations

from typing import Any

from hybridqies.engine.jit import chosen_by_type, part
from hybridqies.engine.vectors import fma, fnma, load, mul, neg, splat, store


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


def pauli_gradients(l0: Any, l1: Any, s0: Any, s1: Any, sums: Any) -> Any:
    """Adds Im <l| P |s> of one pair of amplitudes for P = X, Y, Z; real states have Y alone."""
    raise NotImplementedError


@chosen_by_type(pauli_gradients)
def _pauli_gradients(l0: Any, l1: Any, s0: Any, s1: Any, sums: Any) -> Any:
    if len(l0) == 1:
        return lambda l0, l1, s0, s1, sums: (sums[0], fma(l1[0], s0[0], fnma(l0[0], s1[0], sums[1])), sums[2])

    def three(l0: Any, l1: Any, s0: Any, s1: Any, sums: Any) -> Any:
        x = fma(l0[0], s1[1], fnma(l0[1], s1[0], fma(l1[0], s0[1], fnma(l1[1], s0[0], sums[0]))))
        y = fnma(l0[0], s1[0], fnma(l0[1], s1[1], fma(l1[0], s0[0], fma(l1[1], s0[1], sums[1]))))
        z = fma(l0[0], s0[1], fnma(l0[1], s0[0], fnma(l1[0], s1[1], fma(l1[1], s1[0], sums[2]))))
        return x, y, z

    return three


@part
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


@part
def adjoint(m: Any) -> Any:
    """The inverse of a unitary matrix."""
    return conjugate(m[0]), conjugate(m[2]), conjugate(m[1]), conjugate(m[3])


@part
def mix(m: Any, a: Any, b: Any) -> Any:
    """A matrix times a pair of amplitudes."""
    return plus_times(m[1], b, times(m[0], a)), plus_times(m[3], b, times(m[2], a))
