"""Trials in trackers: each that has a record is a training, whichever process has run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybridqies.runs.tracking import Tracking
from hybridqies.study.trials.journal import ClaimJournal

_PARTS = ("validation", "test")
"""Fields of a record that hold metrics by name."""


class TrialTracking:
    """Shows trackers the trials of `names`, by key, as the journal gets their records.

    `curve` gives what a record has measured after each part of its training. Several processes may show the
    trials of one study: one at a time does, and none a trial that another has shown.
    """

    def __init__(
        self,
        tracking: Tracking | None,
        journal: ClaimJournal[Any],
        names: Mapping[str, str],
        curve: Callable[[Any], Sequence[Mapping[str, float]]],
    ) -> None:
        self._tracking, self._journal, self._curve = tracking, journal, curve
        self._missing = dict(names)

    def show(self, *, wait: bool = False) -> None:
        """Shows what has finished since the last time; with `wait` also what another process is at."""
        tracking = self._tracking
        if tracking is None or tracking.is_empty:
            return
        records = self._journal.state().records
        for key in [key for key in self._missing if key in records]:
            with self._journal.telling(wait=wait) as alone:
                if not alone:
                    return
                self._show_one(tracking, records[key])
            del self._missing[key]

    def _show_one(self, tracking: Tracking, record: Any) -> None:
        config = {**record.trial, "chosen": record.chosen}
        curve = [{**point, "epoch": at} for at, point in enumerate(self._curve(record), 1)]
        tracking.show(record.key, self._missing[record.key], config, curve, _measured(record))


def _measured(record: Any) -> dict[str, Any]:
    """The numbers of a record, with those of its parts as validation_accuracy and the like."""
    values = record.to_mapping()
    parts = {f"{part}_{name}": value for part in _PARTS for name, value in values.get(part, {}).items()}
    return {name: value for name, value in values.items() if name not in _PARTS} | parts
