"""Differences in loss at equal sizes and equal costs: right values, right intervals, nothing extended."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hybridqies.errors import InputError
from hybridqies.study.statistics.matched_costs import SizedLosses, compare_costs, compare_sizes

SIZES = ("a", "b", "c", "d")
COSTS = (1e5, 3e5, 1e6, 3e6)


def of_law(arm: str, costs, law, seeds: int = 1, noise: float = 0.0, draw=None) -> SizedLosses:
    draw = draw or np.random.default_rng(0)
    losses = tuple(tuple(law(cost) + noise * draw.standard_normal(seeds)) for cost in costs)
    return SizedLosses(arm, SIZES[: len(costs)], tuple(costs), losses)


def test_at_equal_sizes_it_is_the_mean_difference() -> None:
    one = SizedLosses("x", ("a", "c"), (1.0, 2.0), ((2.0, 2.2), (1.0, 1.2)))
    other = SizedLosses("y", ("a", "b", "c"), (1.0, 2.0, 3.0), ((2.5, 2.7), (9.0, 9.0), (1.4, 1.6)))
    found = compare_sizes(one, other)
    assert [row.value for row in found.rows] == pytest.approx([-0.5, -0.4])
    assert found.mean.value == pytest.approx(-0.45)
    assert (found.sizes, found.left_out) == (("a", "c"), ())


def test_the_interval_of_one_size_is_that_of_welch() -> None:
    draw = np.random.default_rng(1)
    one, other = draw.normal(2.0, 0.1, 5), draw.normal(2.3, 0.4, 4)
    made = compare_sizes(
        SizedLosses("x", ("a",), (1.0,), (tuple(one),)), SizedLosses("y", ("a",), (1.0,), (tuple(other),))
    )
    low, high = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (made.mean.low, made.mean.high) == pytest.approx((low, high), rel=1e-9)
    assert (made.rows[0].low, made.rows[0].high) == (made.mean.low, made.mean.high)


def test_more_comparisons_have_wider_intervals() -> None:
    made = [
        compare_sizes(
            SizedLosses("x", ("a",), (1.0,), ((1.0, 1.1, 1.3),)),
            SizedLosses("y", ("a",), (1.0,), ((1.2, 1.0, 1.4),)),
            family,
        )
        for family in (1, 3)
    ]
    assert made[1].mean.high > made[0].mean.high
    assert "98.33 % interval" in made[1].statement()


def test_a_power_law_between_sizes_is_followed() -> None:
    """Two arms of one law at other costs do not differ at equal cost, though they do at equal size."""

    def law(cost: float) -> float:
        return 1.3 + 14 * cost**-0.25

    reference = of_law("tap", COSTS, law)
    arm = of_law("other", tuple(1.6 * cost for cost in COSTS), law)
    found = compare_costs(arm, reference, "parameters")
    assert found.left_out == ("d",)
    assert max(abs(row.value) for row in found.rows) < 1e-3
    assert compare_sizes(arm, reference).mean.value < -0.05


def test_known_costs_need_no_interpolation() -> None:
    reference = of_law("tap", COSTS, lambda cost: 10 / np.log(cost))
    arm = SizedLosses("x", ("a", "b"), (COSTS[1], COSTS[3]), ((1.0,), (0.5,)))
    found = compare_costs(arm, reference, "operations")
    expected = [1.0 - reference.losses[1][0], 0.5 - reference.losses[3][0]]
    assert [row.value for row in found.rows] == pytest.approx(expected)


def test_costs_beyond_the_reference_are_left_out() -> None:
    reference = of_law("tap", COSTS, lambda cost: 1.0)
    beyond = SizedLosses("x", ("a", "b"), (9e4, 4e6), ((1.0,), (1.0,)))
    assert compare_costs(beyond, reference, "parameters") is None
    assert compare_sizes(SizedLosses("x", ("z",), (1.0,), ((1.0,),)), reference) is None


def test_statements() -> None:
    reference = SizedLosses("tap", ("a",), (1.0,), ((2.0, 2.01, 2.02),))
    better = compare_sizes(SizedLosses("x", ("a",), (1.0,), ((1.0, 1.01, 1.02),)), reference)
    assert better.mean.excludes_zero
    assert better.statement().endswith("x is better")
    assert better.statement().startswith("x − tap at equal size, at size a: −1.0000 nats (95 % interval −1.0")
    same = compare_sizes(SizedLosses("x", ("a",), (1.0,), ((2.0, 2.01, 2.03),)), reference)
    assert not same.mean.excludes_zero
    assert same.statement().endswith("no difference was shown")
    alone = compare_sizes(SizedLosses("x", ("a",), (1.0,), ((1.0,),)), reference)
    assert (alone.mean.low, alone.mean.excludes_zero) == (None, False)
    assert alone.statement().endswith("no interval from one seed")


@pytest.mark.parametrize(("costs", "losses"), [((0.0,), ((1.0,),)), ((1.0,), ((),)), ((), ())])
def test_refusals(costs, losses) -> None:
    with pytest.raises(InputError, match="losses of 'x' were given"):
        SizedLosses("x", SIZES[: len(costs)], costs, losses)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """At equal costs, over sets of three noisy seeds; 400 sets put 95 % within 92 to 98 %."""
    draw = np.random.default_rng(5)

    def law(cost: float) -> float:
        return 1.3 + 14 * cost**-0.25

    costs = tuple(1.3 * cost for cost in COSTS)
    held = 0
    for _ in range(400):
        reference = of_law("tap", COSTS, law, 3, 0.01, draw)
        arm = of_law("x", costs, lambda cost: law(cost) - 0.02, 3, 0.01, draw)
        mean = compare_costs(arm, reference, "parameters").mean
        held += mean.low <= -0.02 <= mean.high
    assert 0.92 <= held / 400 <= 0.98
