"""What was asked of remote services and what came of it, on disk before anything is sent or waited for.

A journal is a file of JSON lines that only grows. The first names the format; each other is an event:

    intent     a job will be sent: its work, circuits and their digests, angles, backend, shots, seed
    retry      it will be sent once more, and why
    submitted  the service has accepted it, under this id
    state      it is queued or running
    completed  its counts
    failed     the service gave up on it, and why
    cancelled  somebody stopped it
    error      a request about it did not succeed; `in_doubt` when the service may have the job all the same
    again      somebody agreed to pay for it once more after it had failed or was cancelled

`hybridqies.journals` says how lines are written and checked. A `jobs.jsonl` of an earlier version has no
checksums; its lines are read, and `is_checked` is False.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from hybridqies.backends.jobs.record import JobRecord
from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.errors import InputError
from hybridqies.files import expand_home
from hybridqies.journals import LineJournal

FILE_NAME = "jobs.jsonl"


def default_journal() -> Path:
    """$HYBRIDQIES_JOBS, else hybridqies/jobs.jsonl in $XDG_DATA_HOME, else in ~/.local/share."""
    own, shared = os.environ.get("HYBRIDQIES_JOBS"), os.environ.get("XDG_DATA_HOME")
    if own:
        return expand_home(own)
    # A relative XDG_DATA_HOME is to be ignored, says the XDG base directory specification.
    base = Path(shared) if shared and Path(shared).is_absolute() else expand_home("~/.local/share")
    return base / "hybridqies" / FILE_NAME


class Journal(LineJournal):
    """The journal at `path`, or in the folder `path`; the file is made when first written to.

    Raises
    ------
    InputError: from every method, for a file that is no journal, is damaged or cannot be read or written.
    """

    format: ClassVar[str] = "hybridqies-jobs"
    reads_unchecked: ClassVar[bool] = True
    what: ClassVar[str] = "job journal"
    todo_damaged: ClassVar[str] = "restore the file, or move it away and look its jobs up at the service"
    todo_foreign: ClassVar[str] = "give a jobs.jsonl, or a run folder that has one"
    todo_unusable: ClassVar[str] = "fix that, or set HYBRIDQIES_JOBS to another file"

    def __init__(self, path: str | Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        given = expand_home(path) if path else default_journal()
        super().__init__(given / FILE_NAME if given.is_dir() else given)
        self._now = now
        self._records: dict[str, JobRecord] = {}

    def records(self) -> Mapping[str, JobRecord]:
        """Every job by its key, oldest first, with what any process has appended until now."""
        self._read()
        return MappingProxyType(self._records)

    def record(self, prefix: str) -> JobRecord:
        """The job whose key begins with `prefix`.

        Raises
        ------
        InputError: there is none, or there are several.
        """
        found = [record for key, record in self.records().items() if key.startswith(prefix)]
        if len(found) != 1:
            raise InputError(
                f"{len(found) or 'no'} jobs in {self.path} have keys that begin with {prefix!r}",
                expected="the beginning of one key",
                todo="see: hybridqies jobs list",
            )
        return found[0]

    def append(self, event: str, key: str, **content: Any) -> None:
        """Adds an event about the job `key`; it is on disk when this returns."""
        if "reason" in content:
            content["reason"] = scrub(content["reason"])
        self._append({"event": event, "key": key, "time": self._now(), **content})

    def _clear(self) -> None:
        self._records = {}

    def _fold(self, event: dict[str, Any]) -> None:
        key = event["key"]
        if not isinstance(key, str):
            raise TypeError(f"its key is {key!r:.60}")
        known = self._records.get(key)
        self._records[key] = JobRecord.intended(event) if known is None else known.after(event)

    def _check(self, event: Mapping[str, Any]) -> None:
        if event["event"] != "intent" and event["key"] not in self._records:
            raise InputError(
                f"the job journal {self.path} no longer knows job {event['key']}",
                expected="the file that it was written to",
                todo="put the file back: it was moved or deleted while in use",
            )
