"""An executor in this process, one group of trials at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridqies.study.trials.kind import Context, trial_kind


class InProcess:
    """An executor of one group at a time, in this process."""

    places = 1

    def __init__(self, context: Context) -> None:
        self.context = context
        self._trials: Sequence[Any] = ()

    @property
    def free(self) -> int:
        """1 or 0."""
        return int(not self._trials)

    @property
    def running(self) -> int:
        """The trials of the group."""
        return len(self._trials)

    def submit(self, trials: Sequence[Any]) -> None:
        """Keeps the group for `collect`, which runs it."""
        self._trials = trials

    def collect(self) -> Sequence[Any]:
        """Runs the group that was submitted."""
        trials, self._trials = self._trials, ()
        return trial_kind(self.context.kind).attempt(trials, self.context)
