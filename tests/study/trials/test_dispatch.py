"""The runner: every trial once, whoever dies and however many are at work; failures keep their error."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from study.studies import plan_of, rows

from hybridqies.errors import InputError
from hybridqies.runs.config import DataOptions
from hybridqies.study.kinds.sweep import sweep_trials
from hybridqies.study.places.in_process import InProcess
from hybridqies.study.trials.dispatch import MOST_TOGETHER, Counts, count_trials, run_trials
from hybridqies.study.trials.journal import TrialJournal
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import Outcome, Trial, TrialRecord


def some_trials(count: int = 30) -> tuple[Trial, ...]:
    return tuple(
        Trial("logistic", "logistic", seed, DataOptions(), "d", "e", "f", "none", "statevector", "t")
        for seed in range(count)
    )


def record_of(trial: Trial) -> TrialRecord:
    return TrialRecord(
        trial.key, trial.to_mapping(), {}, (), {}, {"accuracy": 0.5}, (0, 1), (1, 1), 3, True, "", 0.0
    )


def cohorts(count: int, seeds: int) -> tuple[Trial, ...]:
    """Trials seed by seed, as studies have them, of so many arms."""
    return tuple(
        Trial(f"arm {at}", "logistic", seed, DataOptions(), "d", "e", "f", "none", "statevector", "t")
        for seed in range(seeds)
        for at in range(count)
    )


def arm_alone(trial: Trial) -> str:
    return trial.arm


class Slow:
    """An executor of trials that only take time; those of `failing` seeds fail."""

    def __init__(self, room: int = 2, seconds: float = 0.0, failing: tuple[int, ...] = ()) -> None:
        self.places, self.seconds, self.failing = room, seconds, failing
        self.waiting: list[Sequence[Trial]] = []
        self.groups: list[Sequence[Trial]] = []

    @property
    def running(self) -> int:
        return sum(map(len, self.waiting))

    @property
    def free(self) -> int:
        return self.places - len(self.waiting)

    @property
    def seen(self) -> list[str]:
        return [trial.key for group in self.groups for trial in group]

    def submit(self, trials: Sequence[Trial]) -> None:
        assert self.free
        self.waiting.append(trials)
        self.groups.append(trials)

    def collect(self) -> list[Outcome]:
        time.sleep(self.seconds * random.random())
        return [self.outcome(trial) for trial in self.waiting.pop()]

    def outcome(self, trial: Trial) -> Outcome:
        if trial.seed in self.failing:
            return TrialFailure(trial.key, trial.to_mapping(), "ValueError: it broke", 0.1)
        return record_of(trial)


class TestRunning:
    def test_failures_stop_nothing_and_keep_their_error(self, tmp_path: Path) -> None:
        planned, seen = some_trials(6), list[Counts]()
        with TrialJournal(tmp_path) as journal:
            run_trials(planned, journal, Slow(failing=(1, 4)), seen.append)
        state = TrialJournal(tmp_path).state()
        assert sorted(failure.trial["seed"] for failure in state.failures.values()) == [1, 4]
        assert {failure.error for failure in state.failures.values()} == {"ValueError: it broke"}
        assert len(state.records) == 4
        assert seen[0] == Counts(6, 0, 0, 2)
        assert seen[-1] == Counts(6, 4, 2, 0)

    def test_again_runs_what_is_missing_and_nothing_else(self, tmp_path: Path) -> None:
        planned = some_trials(8)
        with TrialJournal(tmp_path) as journal:
            run_trials(planned[:5], journal, Slow(failing=(2,)))
        executor = Slow()
        with TrialJournal(tmp_path) as journal:
            run_trials(planned, journal, executor)
        assert set(executor.seen) == {trial.key for trial in planned[5:]}

    def test_in_this_process(self, tmp_path: Path) -> None:
        context = rows()
        planned = sweep_trials(plan_of(arms=("logistic", "svc"), options={}), context)
        with TrialJournal(tmp_path) as journal:
            run_trials(planned, journal, InProcess(context))
            assert count_trials(planned, journal) == Counts(4, 4, 0, 0)


class TestCohorts:
    """Trials of one cohort are handed out together; claims, records and failures stay each trial's own."""

    def test_groups_are_whole_while_there_is_plenty_and_small_at_the_end(self, tmp_path: Path) -> None:
        planned, executor = cohorts(4, 5), Slow(room=2)
        with TrialJournal(tmp_path) as journal:
            run_trials(planned, journal, executor, cohort_of=arm_alone)
        assert all(len({trial.arm for trial in group}) == 1 for group in executor.groups)
        assert [len(group) for group in executor.groups] == [5, 5, 5, 3, 1, 1]
        assert sorted(executor.seen) == sorted(trial.key for trial in planned)

    def test_one_place_takes_them_whole_and_large_ones_in_even_parts(self, tmp_path: Path) -> None:
        executor = Slow(room=1)
        with TrialJournal(tmp_path) as journal:
            run_trials(cohorts(2, 11), journal, executor, cohort_of=arm_alone)
        assert 6 <= MOST_TOGETHER < 11
        assert [len(group) for group in executor.groups] == [6, 6, 5, 5]

    def test_progress_counts_trials(self, tmp_path: Path) -> None:
        seen: list[Counts] = []
        with TrialJournal(tmp_path) as journal:
            run_trials(cohorts(2, 4), journal, Slow(1, failing=(2,)), seen.append, arm_alone)
        assert seen == [Counts(8, 0, 0, 4), Counts(8, 3, 1, 4), Counts(8, 6, 2, 0)]

    def test_kills_lose_none_of_a_group_and_repeat_none(self, tmp_path: Path) -> None:
        draw, kills, planned = random.Random(1), 0, cohorts(12, 5)
        while kills < 10:
            child = forked(tmp_path, planned, 0.05, arm_alone)
            time.sleep(draw.uniform(0.02, 0.1))
            os.kill(child, signal.SIGKILL)
            if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
                break
            kills += 1
        assert kills > 3
        assert os.waitpid(forked(tmp_path, planned, 0.0, arm_alone), 0)[1] == 0
        state = TrialJournal(tmp_path).state()
        assert set(state.records) == {trial.key for trial in planned}
        # Begun again was only what a kill had cut short: two groups at a time.
        assert sum(state.claims.values()) <= len(planned) + 2 * 5 * kills

    def test_a_group_has_only_what_nobody_else_is_at(self, tmp_path: Path) -> None:
        planned, executor = cohorts(1, 5), Slow(room=1)
        with TrialJournal(tmp_path) as journal:
            assert journal.claim(planned[1].key)
            journal.settle(record_of(planned[1]))
            run_trials(planned, journal, executor, cohort_of=arm_alone)
        assert [trial.seed for trial in executor.groups[0]] == [0, 2, 3, 4]


class TestJournal:
    def test_a_claim_is_one_s_own_and_given_back(self, tmp_path: Path) -> None:
        trial, journal = some_trials(1)[0], TrialJournal(tmp_path)
        assert journal.claim(trial.key)
        assert not journal.claim(trial.key)
        journal.release(trial.key)
        assert journal.claim(trial.key)
        journal.settle(record_of(trial))
        assert not journal.claim(trial.key)
        with pytest.raises(InputError, match="recorded twice"):
            journal.settle(record_of(trial))
        journal.close()

    def test_other_data_is_another_study(self, tmp_path: Path) -> None:
        TrialJournal(tmp_path).begin({"data": 1, "test_texts": {}})
        TrialJournal(tmp_path).begin({"data": 1, "test_texts": {}})
        with pytest.raises(InputError, match="begun with another plan, data or encoder"):
            TrialJournal(tmp_path).begin({"data": 2, "test_texts": {}})

    def test_a_torn_line_is_healed(self, tmp_path: Path) -> None:
        planned = some_trials(3)
        with TrialJournal(tmp_path) as journal:
            run_trials(planned[:2], journal, Slow())
        with (tmp_path / "trials.jsonl").open("ab") as stream:
            stream.write(b'{"event": "claimed", "key": "0')
        with TrialJournal(tmp_path) as journal:
            assert len(journal.state().records) == 2
            run_trials(planned, journal, Slow())
        assert len(TrialJournal(tmp_path).state().records) == 3

    def test_damage_is_said(self, tmp_path: Path) -> None:
        with TrialJournal(tmp_path) as journal:
            run_trials(some_trials(2), journal, Slow())
        path = tmp_path / "trials.jsonl"
        content = path.read_text()
        for old, new in (('"claimed"', '"climbed"'), ('"accuracy": 0.5', '"accuracy": 0.6')):
            path.write_text(content.replace(old, new))
            with pytest.raises(InputError, match=r"line \d of the trial journal .*its checksum does not fit"):
                TrialJournal(tmp_path).state()
        path.write_text(content[: content.rindex('{"key"')])
        with pytest.raises(InputError, match=r"trial journal .* was cut off"):
            TrialJournal(tmp_path).state()


def forked(
    folder: Path,
    planned: tuple[Trial, ...],
    seconds: float,
    cohort_of: Callable[[Trial], str] = lambda trial: trial.key,
) -> int:
    """A process of its own at the study; returns its number."""
    child = os.fork()
    if child:
        return child
    try:
        random.seed(os.getpid())
        with TrialJournal(folder) as journal:
            run_trials(planned, journal, Slow(seconds=seconds), cohort_of=cohort_of)
    except BaseException:
        os._exit(4)
    os._exit(0)


class TestRetrying:
    def failed(self, folder: Path, planned: tuple[Trial, ...]) -> list[str]:
        """Has the second and fourth of the trials fail; returns the lines of the journal."""
        with TrialJournal(folder) as journal:
            run_trials(planned, journal, Slow(failing=(1, 3)))
        return self.lines(folder)

    def lines(self, folder: Path) -> list[str]:
        return (folder / "trials.jsonl").read_text().splitlines()[1:]

    def test_the_new_outcome_counts_and_the_old_line_stays(self, tmp_path: Path) -> None:
        planned, executor = some_trials(5), Slow(failing=(3,))
        before = self.failed(tmp_path, planned)
        with TrialJournal(tmp_path) as journal:
            journal.retry_failed(trial.key for trial in planned)
            assert count_trials(planned, journal) == Counts(5, 3, 0, 0)
            run_trials(planned, journal, executor)
        assert set(executor.seen) == {planned[1].key, planned[3].key}
        state = TrialJournal(tmp_path).state()
        assert set(state.failures) == {planned[3].key}
        assert set(state.records) == {trial.key for trial in planned} - {planned[3].key}
        assert state.claims[planned[1].key] == 2
        assert self.lines(tmp_path)[: len(before)] == before

    def test_only_what_is_planned_and_nothing_where_nothing_failed(self, tmp_path: Path) -> None:
        planned = some_trials(5)
        before = self.failed(tmp_path, planned)
        with TrialJournal(tmp_path) as journal:
            journal.retry_failed(trial.key for trial in planned if trial.seed not in (1, 3))
            assert self.lines(tmp_path) == before
            journal.retry_failed([planned[1].key])
            assert set(journal.state().failures) == {planned[3].key}
            with pytest.raises(InputError, match="recorded twice"):
                journal.settle(TrialFailure(planned[3].key, planned[3].to_mapping(), "no", 0.1))

    @pytest.mark.parametrize("cut", [1, 30])
    def test_torn_off_by_a_kill_it_was_never_said(self, cut: int, tmp_path: Path) -> None:
        planned = some_trials(5)
        before = self.failed(tmp_path, planned)
        content = (tmp_path / "trials.jsonl").read_bytes()
        TrialJournal(tmp_path).retry_failed(trial.key for trial in planned)
        path, line = tmp_path / "trials.jsonl", self.lines(tmp_path)[-1] + "\n"
        path.write_bytes(content + line[:-cut].encode())
        executor = Slow()
        with TrialJournal(tmp_path) as journal:
            run_trials(planned, journal, executor)
            assert (executor.seen, len(journal.state().failures)) == ([], 2)
            journal.retry_failed(trial.key for trial in planned)
            run_trials(planned, journal, executor)
        assert len(executor.seen) == len(set(executor.seen)) == 2
        assert len(TrialJournal(tmp_path).state().records) == 5
        assert self.lines(tmp_path)[: len(before)] == before

    def test_killed_after_it_was_said_the_trials_are_missing(self, tmp_path: Path) -> None:
        planned = some_trials(5)
        self.failed(tmp_path, planned)
        TrialJournal(tmp_path).retry_failed(trial.key for trial in planned)
        child = forked(tmp_path, planned, 3600.0)
        journal = TrialJournal(tmp_path)
        while sum(journal.state().claims.values()) < 7:
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        executor = Slow()
        run_trials(planned, journal, executor)
        journal.close()
        assert set(executor.seen) == {planned[1].key, planned[3].key}
        assert (len(journal.state().records), len(journal.state().failures)) == (5, 0)

    def test_what_another_had_run_again_and_died_over_is_taken_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planned = some_trials(3)

        class WithAnother(Slow):
            def collect(self) -> list[Outcome]:
                if len(self.seen) == 2:
                    self.failing = ()
                    TrialJournal(tmp_path).retry_failed([planned[0].key])
                return super().collect()

        def waits(_: float) -> None:
            raise AssertionError("it waits for a trial that nobody runs")

        executor = WithAnother(room=1, failing=(0,))
        monkeypatch.setattr(Slow, "collect", lambda own: [own.outcome(each) for each in own.waiting.pop()])
        monkeypatch.setattr(time, "sleep", waits)
        with TrialJournal(tmp_path) as journal:
            run_trials(planned, journal, executor)
            assert len(journal.state().records) == 3
        assert executor.seen.count(planned[0].key) == 2

    def test_a_reader_of_before_learns_of_it(self, tmp_path: Path) -> None:
        planned = some_trials(5)
        self.failed(tmp_path, planned)
        reader = TrialJournal(tmp_path)
        assert len(reader.state().failures) == 2
        TrialJournal(tmp_path).retry_failed(trial.key for trial in planned)
        assert reader.state().failures == {}


class TestSeveralProcesses:
    def test_side_by_side_no_trial_is_begun_twice(self, tmp_path: Path) -> None:
        planned = some_trials(40)
        children = [forked(tmp_path, planned, 0.01) for _ in range(3)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
        state = TrialJournal(tmp_path).state()
        assert set(state.records) == set(state.claims) == {trial.key for trial in planned}
        assert set(state.claims.values()) == {1}

    def test_kills_lose_no_trial_and_repeat_none(self, tmp_path: Path) -> None:
        draw, kills, planned = random.Random(0), 0, some_trials(60)
        while kills < 15:
            child = forked(tmp_path, planned, 0.02)
            time.sleep(draw.uniform(0.02, 0.1))
            os.kill(child, signal.SIGKILL)
            if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
                break
            kills += 1
        assert kills > 3
        assert os.waitpid(forked(tmp_path, planned, 0.0), 0)[1] == 0
        lines = (tmp_path / "trials.jsonl").read_text().splitlines()
        done = [line for line in lines if '"event": "done"' in line]
        assert len(done) == len(planned)
        state = TrialJournal(tmp_path).state()
        assert set(state.records) == {trial.key for trial in planned}
        # Begun again was only what a kill had cut short: two at a time.
        assert sum(state.claims.values()) <= len(planned) + 2 * kills

    def test_the_claims_of_the_killed_are_free_at_once(self, tmp_path: Path) -> None:
        planned = some_trials(1)
        child = forked(tmp_path, planned, 3600.0)
        journal = TrialJournal(tmp_path)
        while not journal.state().claims:
            time.sleep(0.01)
        assert not journal.claim(planned[0].key)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert journal.claim(planned[0].key)
        journal.close()
