from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from hybridqies.engine.vectors import add, cast, fma, fnma, load, mul, neg, parity, splat, store, total

WIDTHS = [(np.float32, 1), (np.float32, 8), (np.float32, 16), (np.float64, 8)]
every_width = pytest.mark.parametrize(("dtype", "lanes"), WIDTHS)


@njit
def arithmetic(numbers, into, lanes):
    n = len(lanes)
    a, b, c = load(numbers, 0, lanes), load(numbers, n, lanes), load(numbers, 2 * n, lanes)
    for at, each in enumerate((add(a, b), mul(a, b), neg(a), fma(a, b, c), fnma(a, b, c))):
        store(into, at * n, each)


@njit
def copy_between(source, at, into, to, lanes):
    store(into, to, load(source, at, lanes))


@njit
def fill(into, number, lanes):
    store(into, 0, splat(into, number, lanes))


@njit
def convert(source, into, lanes):
    store(into, 0, cast(into, load(source, 0, lanes)))


@njit
def parity_of(bits):
    return parity(bits)


def rounded_once(exact: Fraction, dtype: type) -> np.floating:
    """The number of a type that is nearest to an exact one."""
    near = dtype(float(exact))
    around = (near, np.nextafter(near, dtype(-np.inf)), np.nextafter(near, dtype(np.inf)))
    return min(around, key=lambda each: abs(Fraction(float(each)) - exact))


def run_arithmetic(a, b, c, lanes):
    numbers = np.concatenate([a, b, c])
    into = np.full(5 * lanes, np.nan, numbers.dtype)
    arithmetic(numbers, into, (None,) * lanes)
    return into.reshape(5, lanes)


@every_width
def test_arithmetic_lane_by_lane(dtype, lanes):
    random = np.random.default_rng(lanes)
    for _ in range(20):
        a, b, c = random.normal(size=(3, lanes)).astype(dtype)
        total, product, negated, fused, less = run_arithmetic(a, b, c, lanes)
        assert np.array_equal(total, a + b)
        assert np.array_equal(product, a * b)
        assert np.array_equal(negated, -a)
        exact = [tuple(Fraction(float(each)) for each in row) for row in zip(a, b, c, strict=True)]
        assert fused.tolist() == [rounded_once(x * y + z, dtype) for x, y, z in exact]
        assert less.tolist() == [rounded_once(z - x * y, dtype) for x, y, z in exact]


@every_width
def test_a_fused_product_is_rounded_once(dtype, lanes):
    # (1 + e)**2 is 1 + 2e + e**2, and the last term is lost where the product is rounded by itself.
    e = dtype(2.0 ** (-12 if dtype is np.float32 else -27))
    a = np.full(lanes, 1 + e, dtype)
    c = np.full(lanes, 1 + 2 * e, dtype)
    assert not (a * a - c).any()
    assert run_arithmetic(a, a, -c, lanes)[3].tolist() == [e * e] * lanes
    assert run_arithmetic(a, a, c, lanes)[4].tolist() == [-e * e] * lanes


@every_width
def test_the_sign_of_zero_is_kept(dtype, lanes):
    zero = np.zeros(lanes, dtype)
    _, _, negated, _, _ = run_arithmetic(zero, zero, zero, lanes)
    assert np.signbit(negated).all()
    _, _, negated, _, _ = run_arithmetic(-zero, zero, zero, lanes)
    assert not np.signbit(negated).any()


@every_width
def test_load_and_store_touch_their_lanes_alone_and_need_no_alignment(dtype, lanes):
    source = np.arange(3 * lanes + 5, dtype=dtype)
    for at, to in [(0, 0), (1, 3), (lanes + 2, 5)]:
        into = np.full(2 * lanes + 5, -1, dtype)
        copy_between(source, at, into, to, (None,) * lanes)
        expected = np.full(2 * lanes + 5, -1, dtype)
        expected[to : to + lanes] = source[at : at + lanes]
        assert np.array_equal(into, expected)


@every_width
def test_splat_fills_every_lane_and_rounds(dtype, lanes):
    into = np.full(lanes + 1, -1, dtype)
    for number in (0.1, 1 / 3, -2.0, dtype(0.7)):
        fill(into, number, (None,) * lanes)
        assert into.tolist() == [dtype(number)] * lanes + [-1]


@pytest.mark.parametrize("lanes", [1, 8, 16])
@pytest.mark.parametrize("source", [np.float32, np.float64])
@pytest.mark.parametrize("target", [np.float32, np.float64])
def test_cast_is_that_of_numpy(source, target, lanes):
    numbers = np.random.default_rng(0).normal(size=lanes).astype(source)
    into = np.empty(lanes, target)
    convert(numbers, into, (None,) * lanes)
    assert np.array_equal(into, numbers.astype(target))


def test_parity_counts_set_bits():
    numbers = [0, 1, 2, 3, 7, 8, 255, 2**28 - 1, 2**40 + 1, 2**62, *range(1000, 1100)]
    assert [parity_of(each) for each in numbers] == [each.bit_count() % 2 for each in numbers]


@njit
def sum_of(numbers, lanes):
    return total(load(numbers, 0, lanes))


@every_width
def test_a_sum_over_lanes_goes_in_their_order(dtype, lanes):
    numbers = np.random.default_rng(lanes).normal(size=lanes).astype(dtype)
    expected = dtype(0)
    for number in numbers:
        expected += number
    assert sum_of(numbers, (None,) * lanes) == expected
