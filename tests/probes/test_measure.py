"""Probes that are trained and measured: intervals, resumption, tables and refusals."""

from __future__ import annotations

import pytest
from scipy import stats

from hybridqies.errors import InputError
from hybridqies.probes import ProbePlan, make_probe, run_probes, wilson
from hybridqies.probes.measure import _Sequences, draw_held_out, run_cell


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
        ({"probes": ("copy-3", "copy-03")}, "each once"),
        ({"arms": ("reel",)}, "did you mean 'real'"),
        ({"sizes": ("100",)}, "a larger size"),
        ({"steps": 9}, "'steps'"),
        ({"seeds": 0}, "'seeds'"),
    ],
)
def test_impossible_plans_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        ProbePlan(**{"probes": ("copy-3",), **options})


def test_no_sequence_is_trained_on_and_measured():
    """torch takes the lowest 32 bits of a seed alone, so that 2**40 would draw what 0 draws."""
    probe = make_probe("copy-9")
    measured = {tuple(row) for row in draw_held_out(probe, 100)[0].tolist()}
    for seed in (0, 1):
        for epoch in range(10):
            trained = _Sequences(probe, 100, seed, epoch)[slice(None)].inputs.tolist()
            assert not measured & {tuple(row) for row in trained}
