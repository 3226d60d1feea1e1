"""Caps on what one runner may pay for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from backends.jobs.bench import Bench, script
from backends.jobs.fake_provider import (
    Fault,
    Kill,
    some_work,
)

from hybridqies.backends.jobs import JobError, Limits, Retry
from hybridqies.errors import CapabilityError, InputError


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "told"),
        [
            (Limits(max_jobs=2), "would pay for 3 jobs; expected at most 2 .max_jobs.; .* raise --max-jobs"),
            (Limits(max_shots=999), "would pay for 1000 shots; expected at most 999 .max_shots."),
        ],
    )
    def test_nothing_is_sent_when_a_cap_would_be_passed(
        self, limits: Limits, told: str, bench: Bench
    ) -> None:
        with pytest.raises(CapabilityError, match=told):
            bench.runner(limits=limits).run(some_work())
        assert bench.provider.asked == []
        assert bench.records() == {}

    def test_exactly_at_the_caps(self, bench: Bench) -> None:
        work = some_work()
        bench.check(work, bench.runner(limits=Limits(1000, 3)).run(work))

    def test_over_all_works_of_a_runner(self, bench: Bench) -> None:
        runner = bench.runner(limits=Limits(max_jobs=4))
        runner.run(some_work())
        runner.run(some_work())
        with pytest.raises(CapabilityError, match="pay for 6 jobs; expected at most 4"):
            runner.run(some_work(seed=8))
        runner.run(some_work(1, seed=8))
        with pytest.raises(CapabilityError, match="pay for 5 jobs"):
            runner.run(some_work(1, seed=9))
        assert len(bench.service.labels()) == 4

    def test_what_was_refused_is_not_counted(self, bench: Bench) -> None:
        runner, work = bench.runner(script("submit", Fault.DENIED), limits=Limits(max_jobs=3)), some_work()
        with pytest.raises(JobError):
            runner.run(work)
        bench.check(work, runner.run(work))

    def test_what_the_service_turns_out_to_have_is_paid_already(self, bench: Bench) -> None:
        work = some_work(1)

        def die(where: str) -> None:
            if where == "after submit":
                raise Kill

        with pytest.raises(Kill):
            bench.runner(at=die).run(work)
        bench.check(work, bench.runner(limits=Limits(0, 0)).run(work))

    def test_negative(self) -> None:
        with pytest.raises(InputError, match="max_jobs was given -1; expected 0 or more"):
            Limits(max_jobs=-1)


@pytest.mark.parametrize("cap", [math.nan, math.inf, 2.5, True, "few"])
@pytest.mark.parametrize("name", ["max_shots", "max_jobs"])
def test_a_cap_is_a_whole_number(name, cap):
    with pytest.raises(InputError, match=f"cap {name} was given"):
        Limits(**{name: cap})


def test_a_cap_may_be_a_numpy_number():
    limits = Limits(np.int64(5), np.int8(1))  # type: ignore[arg-type]
    assert limits == Limits(5, 1)
    with pytest.raises(CapabilityError, match="6 shots"):
        limits.check(shots=6, jobs=1)


@pytest.mark.parametrize("options", [{"tries": 0}, {"total_seconds": math.nan}, {"poll_seconds": -1.0}])
def test_a_retry_without_sense_is_refused(options):
    (name,) = options
    with pytest.raises(InputError, match=f"retry option '{name}'"):
        Retry(**options)
