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

An event is synced to disk before `append` returns. Processes share a journal through a lock on the file,
which the kernel releases when its holder dies. A last line that a killed process left unfinished was never
relied on: readers pass over it and the next writer removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hybridqies.backends.jobs.record import JobRecord
from hybridqies.backends.jobs.scrubbing import scrubbed
from hybridqies.errors import InputError

FILE_NAME = "jobs.jsonl"

_HEADER = {"format": "hybridqies-jobs", "version": 1}
_FIRST_LINE = json.dumps(_HEADER).encode() + b"\n"


def default_journal() -> Path:
    """$HYBRIDQIES_JOBS, else hybridqies/jobs.jsonl in $XDG_DATA_HOME, else in ~/.local/share."""
    own, shared = os.environ.get("HYBRIDQIES_JOBS"), os.environ.get("XDG_DATA_HOME")
    if own:
        return Path(own).expanduser()
    # A relative XDG_DATA_HOME is to be ignored, says the XDG base directory specification.
    base = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".local" / "share"
    return base / "hybridqies" / FILE_NAME


class Journal:
    """The journal at `path`, or in the folder `path`; the file is made when first written to.

    Raises
    ------
    InputError: from every method, for a file that is no journal, is damaged or cannot be read or written.
    """

    def __init__(self, path: str | Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        given = Path(path).expanduser() if path else default_journal()
        self.path = given / FILE_NAME if given.is_dir() else given
        self._now = now
        self._records: dict[str, JobRecord] = {}
        self._offset = 0
        self._lines = 0
        self._file: tuple[int, int] | None = None
        self._descriptor: int | None = None
        self._thread = threading.RLock()

    def records(self) -> Mapping[str, JobRecord]:
        """Every job by its key, oldest first, with what any process has appended until now."""
        with self._thread:
            try:
                self._read_on()
            except InputError:
                if self._descriptor is not None:
                    raise
                # A line may have been removed and another written under our reading; under the lock none is.
                with self.locked():
                    self._forget()
                    self._read_on()
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
            content["reason"] = scrubbed(content["reason"])
        entry = {"event": event, "key": key, "time": self._now(), **content}
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"
        with self.locked() as descriptor:
            self._read_on()
            self._check_known(entry)
            is_new = self._offset == 0
            try:
                os.ftruncate(descriptor, self._offset)
                _write(descriptor, _FIRST_LINE + line if is_new else line)
                os.fsync(descriptor)
                if is_new:
                    _sync_folder(self.path.parent)
            except OSError as error:
                raise self._unusable("written", error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Keeps every other process from appending; yields the file's descriptor. May be nested."""
        with self._thread:
            if self._descriptor is not None:
                yield self._descriptor
                return
            descriptor = self._descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield descriptor
            finally:
                self._descriptor = None
                # A forked child shares the descriptor, and with it a lock that outlives our closing.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)

    def _open(self) -> int:
        try:
            _make_folder(self.path.parent)
            return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._unusable("written", error) from error

    def _read_on(self) -> None:
        """Folds the lines that were added since the last time."""
        try:
            with self.path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                file = (status.st_dev, status.st_ino)
                if file != self._file or status.st_size < self._offset:
                    self._forget()
                    self._file = file
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise self._unusable("read", error) from error
        whole = content.rfind(b"\n") + 1
        if self._offset == 0 and not whole and not _FIRST_LINE.startswith(content):
            raise self._no_journal()
        for line in content[:whole].splitlines(keepends=True):
            self._fold(line)
            self._offset += len(line)

    def _forget(self) -> None:
        self._records = {}
        self._offset = self._lines = 0

    def _fold(self, line: bytes) -> None:
        if self._lines == 0:
            if line != _FIRST_LINE:
                raise self._no_journal()
        else:
            try:
                event = json.loads(line)
                key = event["key"]
                known = self._records.get(key)
                self._records[key] = JobRecord.intended(event) if known is None else known.after(event)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"line {self._lines + 1} of the job journal {self.path} is damaged",
                    expected="the event as it was written",
                    todo="restore the file, or move it away and look its jobs up at the service",
                ) from error
        self._lines += 1

    def _check_known(self, event: Mapping[str, Any]) -> None:
        if event["event"] != "intent" and event["key"] not in self._records:
            raise InputError(
                f"the job journal {self.path} no longer knows job {event['key']}",
                expected="the file that it was written to",
                todo="put the file back: it was moved or deleted while in use",
            )

    def _no_journal(self) -> InputError:
        return InputError(
            f"{self.path} is no job journal that this version can read",
            expected=f"a file that begins with {_FIRST_LINE.decode().strip()}",
            todo="give a jobs.jsonl, or a run folder that has one",
        )

    def _unusable(self, how: str, error: OSError) -> InputError:
        return InputError(
            f"the job journal {self.path} cannot be {how}: {error.strerror or error}",
            expected="a file to read and append to, with room on its disk",
            todo="mend that, or set HYBRIDQIES_JOBS to another file",
        )


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _make_folder(folder: Path) -> None:
    """Makes `folder` and its parents, each synced into the one above."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
