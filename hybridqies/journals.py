"""Journals: files of JSON lines that only grow, shared between processes, whole after any kill.

The first line names the format; each other is an event, synced to disk before `append` returns. Processes
share a journal through a lock on the file, which the kernel releases when its holder dies. A last line that
a killed process left unfinished was never relied on: readers pass over it and the next writer removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from hybridqies.errors import InputError


class LineJournal(ABC):
    """The journal at `path`; the file is made when first written to.

    A subclass names its `header` and itself (`what`), and folds events into whatever it keeps.

    Raises
    ------
    InputError: from every method, for a file that is no such journal, is damaged or unusable.
    """

    header: ClassVar[Mapping[str, Any]]
    what: ClassVar[str]
    todo_damaged: ClassVar[str]
    todo_foreign: ClassVar[str]
    todo_unusable: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first_line = json.dumps(self.header).encode() + b"\n"
        self._offset = 0
        self._lines = 0
        self._file: tuple[int, int] | None = None
        self._descriptor: int | None = None
        self._thread = threading.RLock()

    @abstractmethod
    def _clear(self) -> None:
        """Forgets every event."""

    @abstractmethod
    def _fold(self, event: dict[str, Any]) -> None:
        """Takes the next event in; KeyError, TypeError or ValueError mean that it is damaged."""

    @abstractmethod
    def _check(self, event: Mapping[str, Any]) -> None:
        """Refuses an event that does not fit those before it; called under the lock."""

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

    def _append(self, event: Mapping[str, Any]) -> None:
        """Adds an event; it is on disk when this returns."""
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        with self.locked() as descriptor:
            self._read_on()
            self._check(event)
            is_new = self._offset == 0
            try:
                os.ftruncate(descriptor, self._offset)
                _write(descriptor, self._first_line + line if is_new else line)
                os.fsync(descriptor)
                if is_new:
                    _sync_folder(self.path.parent)
            except OSError as error:
                raise self._unusable("written", error) from error

    def _read(self) -> None:
        """Folds what any process has appended until now."""
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
        if self._offset == 0 and not whole and not self._first_line.startswith(content):
            raise self._foreign()
        for line in content[:whole].splitlines(keepends=True):
            self._take(line)
            self._offset += len(line)

    def _forget(self) -> None:
        self._clear()
        self._offset = self._lines = 0

    def _take(self, line: bytes) -> None:
        if self._lines == 0:
            if line != self._first_line:
                raise self._foreign()
        else:
            try:
                self._fold(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"line {self._lines + 1} of the {self.what} {self.path} is damaged",
                    expected="the event as it was written",
                    todo=self.todo_damaged,
                ) from error
        self._lines += 1

    def _foreign(self) -> InputError:
        return InputError(
            f"{self.path} is no {self.what} that this version can read",
            expected=f"a file that begins with {self._first_line.decode().strip()}",
            todo=self.todo_foreign,
        )

    def _unusable(self, how: str, error: OSError) -> InputError:
        return InputError(
            f"the {self.what} {self.path} cannot be {how}: {error.strerror or error}",
            expected="a file to read and append to, with room on its disk",
            todo=self.todo_unusable,
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
