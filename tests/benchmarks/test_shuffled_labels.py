"""The short form of `benchmarks/shuffled_labels.py`: a right protocol flags seldom, a broken one often."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
STUDIES, SEEDS, CANDIDATES = 24, 6, 20
# Six pairs of equal sign are what sign flips need, either way.
LEVEL = 2 / 2**SEEDS


@pytest.fixture(scope="module")
def script() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("shuffled_labels")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def studies(script: Any) -> list[Any]:
    return [script.shuffled(number, rows=500, per_class=10, seeds=SEEDS) for number in range(STUDIES)]


def flagged(script: Any, ran: Sequence[Any]) -> int:
    return sum(script.verdict(each) != "no difference was shown" for each in ran)


def most(n_studies: int, chance: float = 1e-4) -> int:
    """The fewest flags that a right protocol exceeds with a probability below `chance`."""
    return int(binom.isf(chance, n_studies, LEVEL))


def best_on_test(script: Any, ran: Any) -> Any:
    """The study with its second arm as the best, on the test set, of candidates that know nothing.

    On shuffled labels the test accuracy of any candidate is that of as many flips of a coin.
    """
    draw = np.random.default_rng(ran.plan.seeds[0])
    records = dict(ran.state.records)
    for trial in ran.planned:
        if trial.arm != ran.plan.reference:
            record = records[trial.key]
            n = len(record.truth)
            others = draw.binomial(n, 0.5, CANDIDATES - 1) / n
            test = {**record.test, "accuracy": max(record.test["accuracy"], *others)}
            records[trial.key] = replace(record, test=test)
    return script.Ran(ran.plan, ran.planned, replace(ran.state, records=records))


def test_a_difference_is_seldom_shown_where_there_is_none(script: Any, studies: list[Any]) -> None:
    """At most 5 of 24 studies.

    One study flags with a probability of at most 2 / 2**6 = 1/32: all six differences must have one sign.
    Studies share neither rows nor seeds, so that flags are binomial: more than 5 of 24 come by chance with
    a probability of sum over k >= 6 of C(24, k) (1/32)**k (31/32)**(24 - k) = 7.7e-5.
    """
    assert most(STUDIES) == 5
    assert flagged(script, studies) <= most(STUDIES)


def test_choosing_by_the_test_set_is_caught(script: Any, studies: list[Any]) -> None:
    broken = [best_on_test(script, each) for each in studies]
    assert flagged(script, broken) > 2 * most(STUDIES)
