"""Running a study's trials: what is missing is claimed, handed to an executor, and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hybridqies.study.context import TrialContext
from hybridqies.study.protocol import attempt
from hybridqies.study.trial import Trial, TrialFailure, TrialRecord
from hybridqies.study.trial_journal import TrialJournal

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a study is; `running` are those of this process."""

    total: int
    done: int
    failed: int
    running: int


class Executor(Protocol):
    """Where trials run. `collect` waits for one that was submitted; `free` is how many more it takes now."""

    @property
    def free(self) -> int:
        """Trials that may be submitted now."""

    @property
    def running(self) -> int:
        """Trials that were submitted and not collected."""

    def submit(self, trial: Trial) -> None:
        """Begins a trial."""

    def collect(self) -> TrialRecord | TrialFailure:
        """Waits until any submitted trial is over."""


class InProcess:
    """An executor of one trial at a time, in this process."""

    def __init__(self, context: TrialContext) -> None:
        self.context = context
        self._trial: Trial | None = None

    @property
    def free(self) -> int:
        """1 or 0."""
        return 1 - self.running

    @property
    def running(self) -> int:
        """0 or 1."""
        return int(self._trial is not None)

    def submit(self, trial: Trial) -> None:
        """Keeps the trial for `collect`, which runs it."""
        self._trial = trial

    def collect(self) -> TrialRecord | TrialFailure:
        """Runs the trial that was submitted."""
        trial, self._trial = self._trial, None
        assert trial is not None
        return attempt(trial, self.context)


def run_trials(
    trials: Sequence[Trial],
    journal: TrialJournal,
    executor: Executor,
    on_counts: Callable[[Counts], None] | None = None,
) -> None:
    """Runs every trial that the journal lacks, and returns when all are over.

    Other processes may do the same over the same journal: each trial is run by one of them, and all
    of them return when the last is over. What another process leaves behind by dying is taken up.
    """
    while True:
        state = journal.state()
        missing = [trial for trial in trials if not state.has(trial.key)]
        for trial in missing:
            if not executor.free:
                break
            if journal.claim(trial.key):
                executor.submit(trial)
        if on_counts is not None:
            on_counts(counted(trials, journal, executor.running))
        if executor.running:
            journal.settle(executor.collect())
        elif missing:
            time.sleep(_POLL_SECONDS)
        else:
            return


def counted(trials: Sequence[Trial], journal: TrialJournal, running: int = 0) -> Counts:
    """How many of the trials are done and failed by now."""
    state = journal.state()
    done = sum(trial.key in state.records for trial in trials)
    failed = sum(trial.key in state.failures for trial in trials)
    return Counts(len(trials), done, failed, running)
