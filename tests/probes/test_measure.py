"""Probes that are trained and measured: intervals, resumption, tables and refusals."""

from __future__ import annotations

import pytest
from scipy import stats

from hybridqies.errors import InputError
from hybridqies.probes import ProbePlan, run_probes, wilson
from hybridqies.probes.measure import run_cell


def test_a_tap_learns_to_copy_what_its_stride_reads():
    plan = ProbePlan(("copy-3",), ("tap",), ("3k",), steps=80, batch_size=16, sequences=100)
    row = run_cell(plan, plan.cells()[0])
    assert row["chance"] == 0.5
    assert row["low"] > 0.7
    assert row["high"] <= 1.0
    assert row["n_parameters"] > 3000


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (10, 10), (498, 1000)])
def test_intervals_are_wilsons(right, count):
    expected = stats.binomtest(right, count).proportion_ci(0.95, "wilson")
    assert wilson(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_rows_repeat_and_differ_by_seed():
    plan = ProbePlan(("copy-3",), ("real",), ("3k",), seeds=2, steps=10, batch_size=2, sequences=20)
    first, second = (run_probes(plan) for _ in range(2))
    assert [row["loss"] for row in first] == [row["loss"] for row in second]
    assert first[0]["loss"] != first[1]["loss"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"probes": ()}, "at least one"),
        ({"probes": ("copy-3", "copy-3")}, "each once"),
        ({"arms": ("reel",)}, "did you mean 'real'"),
        ({"sizes": ("100",)}, "a larger size"),
        ({"steps": 9}, "'steps'"),
        ({"seeds": 0}, "'seeds'"),
    ],
)
def test_impossible_plans_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        ProbePlan(**{"probes": ("copy-3",), **options})
