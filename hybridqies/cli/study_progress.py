"""Progress of a study: texts embedded, then trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridqies.bars import Steps
    from hybridqies.progress import ProgressLines
    from hybridqies.study.trials.dispatch import Counts

REMEMBERED_SECONDS = 24 * 3600
"""Trials may take minutes each; the time left is estimated from as many of them as there were."""


class StudyProgress:
    """Texts embedded, then trials done, running and failed."""

    def __init__(self, shown: Steps | ProgressLines) -> None:
        self._shown = shown
        self._stage = ""

    def text(self, done: int, total: int) -> None:
        """So many texts are embedded."""
        self._update("embedding", done, total, "")

    def counts(self, counts: Counts) -> None:
        """So far the trials are."""
        note = f"{counts.running} running  {counts.failed} failed"
        self._update("trials", counts.done + counts.failed, counts.total, note)

    def _update(self, stage: str, done: int, total: int, note: str) -> None:
        if stage != self._stage:
            self._stage = stage
            # What an earlier start did took none of the time of this one.
            self._shown.begin(stage, total, done)
        self._shown.update(done, total, note)
