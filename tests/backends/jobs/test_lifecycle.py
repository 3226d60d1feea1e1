"""The runner: every result arrives, every job is paid for once, whatever fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from backends.jobs.bench import FAILS, IS_CANCELLED, Bench, ended, script
from backends.jobs.fake_provider import (
    FakeProvider,
    Fault,
    Kill,
    outcomes,
    some_work,
)

from hybridqies.backends.jobs import JobError, JobState, Limits, Retry, Work
from hybridqies.errors import CapabilityError, InputError


class TestRun:
    @pytest.mark.parametrize(("rows", "n_circuits"), [(1, 1), (5, 2), (2, 2), (7, 3), (3, 4)])
    def test_in_the_order_of_the_work(self, rows: int, n_circuits: int, bench: Bench) -> None:
        work = some_work(rows, n_circuits)
        bench.check(work, bench.runner().run(work))

    def test_no_rows(self, bench: Bench) -> None:
        assert bench.runner().run(some_work(0)) == []

    def test_equal_rows_are_one_job(self, bench: Bench) -> None:
        work = some_work(4)
        work = Work(work.backend, work.circuits, work.angles[[0, 1, 0, 1]], work.shots, work.seed)
        assert bench.runner().run(work) == outcomes(work)
        assert len(bench.service.labels()) == 1

    def test_more_circuits_than_a_job_takes(self, bench: Bench) -> None:
        with pytest.raises(CapabilityError, match=r"5 circuits belong together .*; expected at most 4"):
            bench.runner().run(some_work(1, 5))
        assert bench.service.labels() == []

    def test_all_are_handed_in_before_any_is_waited_for(self, bench: Bench) -> None:
        bench.runner().run(some_work())
        assert bench.provider.asked[:4] == ["submit", "submit", "submit", "status"]
        assert "find" not in bench.provider.asked

    def test_what_is_journalled_is_free(self, bench: Bench) -> None:
        work = some_work()
        bench.runner().run(work)
        bench.check(work, bench.runner(limits=Limits(0, 0)).run(work))
        assert bench.provider.asked == []

    def test_the_intent_comes_first(self, bench: Bench) -> None:
        seen: list[bool] = []

        def at(where: str) -> None:
            if where == "before submit":
                seen.append(any(record.in_doubt for record in bench.records().values()))

        bench.runner(at=at).run(some_work())
        assert seen == [True, True, True]

    def test_progress(self, bench: Bench) -> None:
        bench.runner().run(some_work())
        assert bench.progress[0] == (0, 10)
        assert bench.progress[-1] == (10, 10)
        assert bench.progress == sorted(bench.progress)

    def test_polls_grow_apart_while_nothing_changes(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("backends.jobs.fake_provider.POLLS", 12)
        bench.runner(retry=Retry(poll_seconds=2, longest_poll_seconds=10)).run(some_work(1))
        assert bench.time.slept[:6] == [2, 3, 4.5, 6.75, 10, 10]
        assert len(bench.time.slept) == 11

    def test_interrupted_while_waiting(self, bench: Bench) -> None:
        runner, work = bench.runner(), some_work()

        def interrupt(seconds: float) -> None:
            raise KeyboardInterrupt

        runner._sleep = interrupt
        with pytest.raises(KeyboardInterrupt):
            runner.run(work)
        assert all(record.is_waiting for record in bench.records().values())
        bench.check(work, bench.runner(limits=Limits(0, 0)).run(work))


class TestFaults:
    def test_busy_is_asked_again_with_growing_pauses(self, bench: Bench) -> None:
        work = some_work(1)
        bench.check(work, bench.runner(script("submit", *[Fault.BUSY] * 5)).run(work))
        pauses = bench.time.slept[:5]
        assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(pauses))
        assert "find" not in bench.provider.asked

    def test_pauses_follow_the_seed(self, tmp_path: Path) -> None:
        def pauses(name: str, seed: int) -> list[float]:
            bench = Bench(tmp_path / name)
            bench.runner(script("submit", *[Fault.BUSY] * 5), retry=Retry(seed=seed)).run(some_work(1))
            return bench.time.slept

        assert pauses("a", 1) == pauses("b", 1) != pauses("c", 2)

    @pytest.mark.parametrize("retry", [Retry(tries=3), Retry(total_seconds=4)])
    def test_busy_for_too_long(self, retry: Retry, bench: Bench) -> None:
        work = some_work(1)
        with pytest.raises(
            JobError, match=r"429.*\(asked 3 times\); nothing is lost: run the same again"
        ) as told:
            bench.runner(lambda verb: Fault.BUSY, retry=retry).run(work)
        assert f"hybridqies jobs resume --journal {bench.path}" in str(told.value)
        slept = len(bench.time.slept)
        bench.check(work, bench.runner().run(work))
        # The service has said that it did not take the job: no doubt, no settling.
        assert max(bench.time.slept[slept:]) < 5
        assert "find" not in bench.provider.asked

    @pytest.mark.parametrize("verb", ["submit", "status", "counts"])
    def test_denied_stops_with_the_reason(self, verb: str, bench: Bench) -> None:
        work = some_work()
        with pytest.raises(JobError, match="401: the token is not known; nothing is lost"):
            bench.runner(script(verb, Fault.DENIED)).run(work)
        assert any("401" in record.reason for record in bench.records().values())
        bench.check(work, bench.runner().run(work))

    def test_a_lost_answer_is_looked_for(self, bench: Bench) -> None:
        work = some_work(1)
        bench.check(work, bench.runner(script("submit", Fault.LOST)).run(work))
        assert bench.provider.asked[:3] == ["submit", "find", "status"]

    def test_a_request_that_never_arrived_is_sent_again_once_settled(self, bench: Bench) -> None:
        work = some_work(1)
        bench.check(work, bench.runner(script("submit", Fault.UNSENT)).run(work))
        assert bench.provider.asked[:4] == ["submit", "find", "submit", "status"]
        assert bench.time.slept[0] == 10

    def test_a_request_that_arrives_late(self, bench: Bench) -> None:
        """Five seconds after the answer was lost, which is within the time to settle."""
        work = some_work(1)
        bench.check(work, bench.runner(script("submit", Fault.LATE)).run(work))

    def test_answers_lost_without_end(self, bench: Bench) -> None:
        work = some_work(1)
        unsent = script("submit", *[Fault.UNSENT] * 9)
        with pytest.raises(JobError, match="none of 3 requests that it left unanswered; nothing is lost"):
            bench.runner(unsent, retry=Retry(tries=3)).run(work)
        assert bench.provider.asked.count("submit") == 3
        bench.check(work, bench.runner(retry=Retry(tries=1)).run(work))

    def test_a_request_in_flight_when_its_sender_was_killed(self, bench: Bench) -> None:
        """However old the intent is: the sender may have hung, and the service may still accept."""
        work = some_work(1)

        def hang_and_die(where: str) -> None:
            if where == "after submit":
                bench.time.now += 3600
                raise Kill

        with pytest.raises(Kill):
            bench.runner(script("submit", Fault.LATE), at=hang_and_die).run(work)
        with bench.service.jobs() as jobs:
            jobs["job-0"]["from"] = bench.time.now + 5
        bench.check(work, bench.runner().run(work))

    def test_a_short_answer_is_not_taken_for_a_result(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        work = some_work(2)
        with monkeypatch.context() as patch:
            patch.setattr(FakeProvider, "counts", lambda self, job_id, part: outcomes(part)[:3])
            with pytest.raises(JobError, match="outcomes of 3 circuits out of 4"):
                bench.runner().run(work)
        bench.check(work, bench.runner().run(work))

    def test_secrets_are_in_no_error(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IONQ_API_KEY", "token")
        with pytest.raises(JobError, match=r"401: the \*\*\* is not known"):
            bench.runner(script("submit", Fault.DENIED)).run(some_work())
        assert b"token" not in bench.path.read_bytes()


class TestBadEnds:
    @pytest.mark.parametrize(
        ("how", "told"),
        [(FAILS, "failed at fake:qpu: the ion escaped"), (IS_CANCELLED, "cancelled at fake:qpu")],
    )
    def test_others_are_kept_and_nothing_is_paid_again_unasked(
        self, how: float, told: str, bench: Bench
    ) -> None:
        work = ended(some_work(6), 2, how)
        parts = work.split(4)
        message = f"{told}.*the results of 2 jobs out of 3 are kept; to pay for it once more: hybridqies jobs"
        for _ in range(2):
            with pytest.raises(JobError, match=message) as error:
                bench.runner().run(work)
            assert f"resume --again {parts[1].key()[:12]} --journal" in str(error.value)
            assert len(bench.service.labels()) == 3
        records = bench.records()
        assert records[parts[0].key()].counts == tuple(outcomes(parts[0]))
        assert records[parts[2].key()].counts == tuple(outcomes(parts[2]))

    def test_nothing_new_is_paid_for_what_cannot_be_complete(self, bench: Bench) -> None:
        work = ended(some_work(6), 0, FAILS)
        first = work.split(4)[0]
        with pytest.raises(JobError):
            bench.runner().run(first)
        with pytest.raises(JobError, match="failed at"):
            bench.runner().run(work)
        assert len(bench.service.labels()) == 1

    def test_again(self, bench: Bench) -> None:
        work = ended(some_work(2), 0, FAILS)
        with pytest.raises(JobError):
            bench.runner().run(work)
        key = work.key()
        with pytest.raises(JobError, match="failed at"):
            bench.runner().again(key)
        assert bench.service.labels() == [key, f"{key}-2"]
        assert bench.records()[key].attempt == 2

    def test_again_is_for_jobs_that_ended_badly(self, bench: Bench) -> None:
        work = some_work(2)
        bench.runner().run(work)
        with pytest.raises(InputError, match="is completed; expected one that failed, was cancelled or was"):
            bench.runner().again(work.key())


class TestResumeAndCancel:
    def handed_in(self, bench: Bench, work: Work) -> None:
        def die(where: str) -> None:
            if where == "before status":
                raise Kill

        with pytest.raises(Kill):
            bench.runner(at=die).run(work)

    def test_resume_fetches(self, bench: Bench) -> None:
        work = some_work()
        self.handed_in(bench, work)
        bench.runner().resume(bench.records())
        assert all(record.counts for record in bench.records().values())
        bench.check(work, bench.runner(limits=Limits(0, 0)).run(work))

    def test_resume_pays_nothing(self, bench: Bench) -> None:
        work = some_work(1)
        with pytest.raises(JobError):
            bench.runner(script("submit", Fault.DENIED)).run(work)
        with pytest.raises(
            JobError, match=r"was never accepted by the service; .* to send it: hybridqies jobs"
        ):
            bench.runner().resume([work.key()])
        assert bench.service.labels() == []
        bench.runner().again(work.key())
        bench.check(work, bench.runner().run(work))

    def test_cancel(self, bench: Bench) -> None:
        work = some_work(1)
        self.handed_in(bench, work)
        assert bench.runner().cancel(work.key()).state is JobState.CANCELLED
        with pytest.raises(InputError, match="is cancelled; expected one that is queued or running"):
            bench.runner().cancel(work.key())
        with pytest.raises(JobError, match="cancelled at fake:qpu"):
            bench.runner().run(work)

    def test_cancelled_too_late_keeps_its_counts(self, bench: Bench) -> None:
        work = some_work(1)
        self.handed_in(bench, work)
        with bench.service.jobs() as jobs:
            jobs["job-0"]["polls"] = 9
        record = bench.runner().cancel(work.key())
        assert (record.state, record.counts) == (JobState.COMPLETED, tuple(outcomes(work)))

    def test_cancel_what_was_never_accepted(self, bench: Bench) -> None:
        work = some_work(1)
        with pytest.raises(JobError):
            bench.runner(script("submit", Fault.DENIED)).run(work)
        assert bench.runner().cancel(work.key()).state is JobState.CANCELLED
        assert "cancel" not in bench.provider.asked


def test_keys_tell_work_apart() -> None:
    work = some_work()
    others = [some_work(seed=8), some_work(4), some_work(n_circuits=1), some_work(backend="fake:other")]
    moved = Work(work.backend, work.circuits, np.nextafter(work.angles, 9), work.shots, work.seed)
    assert len({each.key() for each in (work, moved, *others)}) == 6
    assert Work.from_mapping(work.to_mapping()).key() == work.key()
