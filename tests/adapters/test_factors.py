from __future__ import annotations

import math

import pytest

from hybridqies.adapters.factors import choose_axes, count_parameters, pair_gates, propose_axes
from hybridqies.errors import InputError


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ((16, 8, 8, 4), 43_008),
        ((16, 8, 4, 2), 22_848),
        ((16, 16, 16), 196_608),
        ((12, 8, 8), 22_528),
        ((12, 8, 4), 12_544),
        ((8, 8, 6), 8_704),
        ((6, 4, 4, 4), 2_496),
    ],
)
def test_counts_of_published_factorisations(axes, expected):
    assert count_parameters(axes) == expected
    by_pairs = sum((a * b) ** 2 for at, a in enumerate(axes) for b in axes[:at])
    assert by_pairs == expected


def test_count_of_a_layer_that_widens():
    assert count_parameters((12, 8, 4), (12, 8, 16)) == 19_456


def test_a_layer_that_narrows_takes_no_more_than_the_one_that_widens():
    # 64 x 32 resizes the axis at once; then 48 x 48 and 96 x 96.
    assert count_parameters((12, 8, 16), (12, 8, 4)) == 128 * 32 + 48**2 + 96**2


def test_gates_take_the_last_pair_of_axes_first():
    gates = pair_gates((12, 8, 4), (12, 8, 16))
    assert [(gate.first, gate.second) for gate in gates] == [(1, 2), (0, 2), (0, 1)]
    assert [(gate.n_in, gate.n_out) for gate in gates] == [(32, 32), (48, 192), (96, 96)]


@pytest.mark.parametrize("sizes", [((2, 3, 4, 5), (5, 4, 3, 2)), ((4, 2), (2, 6)), ((3, 3, 3), (2, 9, 3))])
def test_every_gate_takes_the_sizes_that_those_before_it_leave(sizes):
    now, target = list(sizes[0]), list(sizes[1])
    for gate in pair_gates(*sizes):
        assert gate.in_sizes == (now[gate.first], now[gate.second])
        now[gate.first], now[gate.second] = gate.out_sizes
    assert now == target


@pytest.mark.parametrize(
    ("width", "n_axes", "expected"),
    [
        (384, 3, (8, 8, 6)),
        (768, 3, (12, 8, 8)),
        (4096, 3, (16, 16, 16)),
        (384, 4, (6, 4, 4, 4)),
        (36, 2, (6, 6)),
    ],
)
def test_axes_are_proposed_near_square(width, n_axes, expected):
    assert propose_axes(width, n_axes) == expected


@pytest.mark.parametrize("width", [384, 1536, 60, 8, 764])
def test_no_other_axes_take_fewer_parameters(width):
    chosen = propose_axes(width)
    assert math.prod(chosen) == width
    assert count_parameters(chosen) == min(map(count_parameters, three(width)))


def test_each_side_of_a_rectangular_layer_is_near_square():
    assert choose_axes(384, 1536, None) == ((8, 8, 6), (16, 12, 8))


def three(width):
    divisors = [d for d in range(2, width) if width % d == 0]
    return [
        (a, b, width // (a * b)) for a in divisors for b in divisors if width % (a * b) == 0 and a * b < width
    ]


def test_given_axes_are_found_by_their_product():
    given = [[12, 8, 4], [12, 8, 16]]
    assert choose_axes(384, 1536, given) == ((12, 8, 4), (12, 8, 16))
    assert choose_axes(384, 384, given) == ((12, 8, 4), (12, 8, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: propose_axes(382), "width 382, which does not factor into 3 axes; expected"),
        (lambda: choose_axes(384, 7, None, 2), "width 7, which does not factor into 2 axes"),
        (lambda: propose_axes(384, 1), "1 axes were asked for; expected at least 2"),
        (lambda: choose_axes(384, 384, [[12, 8, 8]]), "width 384 and the axes given are 12·8·8 = 768"),
        (lambda: choose_axes(8, 16, [[2, 4], [2, 2, 4]]), "axes 2·4 for its input and 2·2·4 for its output"),
        (lambda: pair_gates((8,), (8,)), r"given as \[8\]; expected at least two whole numbers"),
        (lambda: pair_gates((8, 1), (8, 1)), r"given as \[8, 1\]"),
    ],
)
def test_refusals_are_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
