"""Running a study's trials: what is missing is claimed, handed to an executor, and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridqies.study.places.executor import Executor
from hybridqies.study.trials.journal import ClaimJournal
from hybridqies.study.trials.outcome import Keyed

MOST_TOGETHER = 8
"""The most trials in a stack. Per trial, 8 together take up to a third less time than 5. Larger stacks of
wide perceptrons outgrow the processor's cache, and a kill loses the work of the whole stack."""

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a study is; `running` are those of this process."""

    total: int
    done: int
    failed: int
    running: int


def _by_itself(trial: Keyed) -> str:
    return trial.key


def run_trials(
    trials: Sequence[Any],
    journal: ClaimJournal[Any],
    executor: Executor,
    on_counts: Callable[[Counts], None] | None = None,
    cohort_of: Callable[[Any], str] = _by_itself,
    on_records: Callable[[], None] | None = None,
) -> None:
    """Runs every trial that the journal lacks, and returns when all are over.

    Trials for which `cohort_of` gives one name may be handed out together, some or all of them; each is
    claimed and recorded by itself. Other processes may do the same over the same journal: each trial is
    run by one of them, and all of them return when the last is over. Trials of a process that dies are
    taken over. `on_records` is called while trials run, when the journal may have more records than before.
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
            on_counts(count_trials(trials, journal, executor.running))
        if on_records is not None:
            on_records()
        if executor.running:
            for outcome in executor.collect():
                journal.settle(outcome)
                # Another process may have a failed trial run again, and die over it.
                begun.discard(outcome.key)
        elif missing:
            time.sleep(_POLL_SECONDS)
        else:
            return


def _next_group(waiting: Sequence[Keyed], cohorts: Mapping[str, str], places: int) -> list[Keyed]:
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


def count_trials(trials: Sequence[Keyed], journal: ClaimJournal[Any], running: int = 0) -> Counts:
    """How many of the trials are done and failed by now."""
    state = journal.state()
    done = sum(trial.key in state.records for trial in trials)
    failed = sum(trial.key in state.failures for trial in trials)
    return Counts(len(trials), done, failed, running)
