"""Running a study's trials: what is missing is claimed, handed to an executor, and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hybridqies.study.context import TrialContext
from hybridqies.study.protocol import attempt
from hybridqies.study.trial import Outcome, Trial
from hybridqies.study.trial_journal import TrialJournal

MOST_TOGETHER = 8
"""Trials in a stack. Measured a trial, 8 save up to a third of the time of 5; of large perceptrons more than
5 to 8 outgrow the cache, and a kill loses what all of a group were at."""

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a study is; `running` are those of this process."""

    total: int
    done: int
    failed: int
    running: int


class Executor(Protocol):
    """Where trials run, in groups that train together.

    `collect` waits for a group that was submitted; `free` is how many more it takes now.
    """

    @property
    def places(self) -> int:
        """Groups that run side by side."""

    @property
    def free(self) -> int:
        """Groups that may be submitted now."""

    @property
    def running(self) -> int:
        """Trials that were submitted and not collected."""

    def submit(self, trials: Sequence[Trial]) -> None:
        """Begins a group."""

    def collect(self) -> Sequence[Outcome]:
        """Waits until trials that were submitted are over: a group of them, or a part of one."""


class InProcess:
    """An executor of one group at a time, in this process."""

    places = 1

    def __init__(self, context: TrialContext) -> None:
        self.context = context
        self._trials: Sequence[Trial] = ()

    @property
    def free(self) -> int:
        """1 or 0."""
        return int(not self._trials)

    @property
    def running(self) -> int:
        """The trials of the group."""
        return len(self._trials)

    def submit(self, trials: Sequence[Trial]) -> None:
        """Keeps the group for `collect`, which runs it."""
        self._trials = trials

    def collect(self) -> Sequence[Outcome]:
        """Runs the group that was submitted."""
        trials, self._trials = self._trials, ()
        return attempt(trials, self.context)


def _by_itself(trial: Trial) -> str:
    return trial.key


def run_trials(
    trials: Sequence[Trial],
    journal: TrialJournal,
    executor: Executor,
    on_counts: Callable[[Counts], None] | None = None,
    cohort_of: Callable[[Trial], str] = _by_itself,
) -> None:
    """Runs every trial that the journal lacks, and returns when all are over.

    Trials for which `cohort_of` gives one name may be handed out together, some or all of them; each is
    claimed and recorded by itself. Other processes may do the same over the same journal: each trial is
    run by one of them, and all of them return when the last is over. What another process leaves behind
    by dying is taken up.
    """
    cohorts = {trial.key: cohort_of(trial) for trial in trials}
    begun: set[str] = set()
    while True:
        state = journal.state()
        missing = [trial for trial in trials if not state.has(trial.key)]
        waiting = [trial for trial in missing if trial.key not in begun]
        while waiting and executor.free:
            group = _next_group(waiting, cohorts, executor.places)
            claimed = [trial for trial in group if journal.claim(trial.key)]
            looked_at = {trial.key for trial in group}
            waiting = [trial for trial in waiting if trial.key not in looked_at]
            if claimed:
                begun.update(trial.key for trial in claimed)
                executor.submit(claimed)
        if on_counts is not None:
            on_counts(counted(trials, journal, executor.running))
        if executor.running:
            for outcome in executor.collect():
                journal.settle(outcome)
                # Another process may have a failed trial run again, and die over it.
                begun.discard(outcome.key)
        elif missing:
            time.sleep(_POLL_SECONDS)
        else:
            return


def _next_group(waiting: Sequence[Trial], cohorts: Mapping[str, str], places: int) -> list[Trial]:
    """The first trial that waits, and of its cohort no more than leave each place its share of all that wait.

    So groups are whole cohorts while there is plenty, and small at the end, when a place without work would
    have to wait for the last (guided self-scheduling: Polychronopoulos, Kuck, IEEE Trans. Comput. C-36,
    1425 (1987)).
    """
    most = min(MOST_TOGETHER, -(-len(waiting) // places))
    name = cohorts[waiting[0].key]
    members = [trial for trial in waiting if cohorts[trial.key] == name]
    groups = -(-len(members) // most)
    return members[: -(-len(members) // groups)]


def counted(trials: Sequence[Trial], journal: TrialJournal, running: int = 0) -> Counts:
    """How many of the trials are done and failed by now."""
    state = journal.state()
    done = sum(trial.key in state.records for trial in trials)
    failed = sum(trial.key in state.failures for trial in trials)
    return Counts(len(trials), done, failed, running)
