"""Journals: files of JSON lines that only grow, shared between processes, whole after any kill.

The first line names the format and the bytes that are surely there; each other is an event with a checksum,
synced to disk before `append` returns. Processes share a journal through a lock on the file, which the kernel
releases when its holder dies. A last line that a killed process left unfinished was never relied on: readers
ignore it and the next writer removes it. Anything else that was cut off, lost or changed is an error.
Journals of version 1 have no checksums. Those of a kind that `reads_unchecked` are read, and grow with
checksummed lines.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from hybridqies.errors import InputError
from hybridqies.files import create_bytes, sync_folder
from hybridqies.records import LineSeal

_SIZE_DIGITS = 15


class LineJournal(ABC):
    """The journal at `path`; the file is made when first written to.

    A subclass names its `format` and itself (`what`), says whether it reads journals without checksums, and
    folds events into whatever it keeps.

    Raises
    ------
    InputError: from every method, for a file that is no such journal, is damaged or unusable.
    """

    format: ClassVar[str]
    reads_unchecked: ClassVar[bool] = False
    what: ClassVar[str]
    todo_damaged: ClassVar[str]
    todo_foreign: ClassVar[str]
    todo_unusable: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = f'{{"format": "{self.format}", '.encode()
        self._old_line = self._start + b'"version": 1}\n'
        self._first_size = len(self._first_line(0))
        self._offset = 0
        self._lines = 0
        self._is_new = True
        self._seal = LineSeal()
        self._file: tuple[int, int] | None = None
        self._descriptor: int | None = None
        self._thread = threading.RLock()

    @property
    def is_checked(self) -> bool:
        """Whether every line read until now has a checksum; lines that version 1 wrote have none."""
        return self._seal.unchecked == 0

    @abstractmethod
    def _clear(self) -> None:
        """Forgets every event."""

    @abstractmethod
    def _fold(self, event: dict[str, Any]) -> None:
        """Takes the next event in; a LookupError, TypeError or ValueError means that it is damaged."""

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
        with self.locked() as descriptor:
            self._read_on()
            self._check(event)
            line = self._seal.copy().seal(event)
            try:
                os.ftruncate(descriptor, self._offset)
                _write(descriptor, line, self._offset)
                os.fsync(descriptor)
            except OSError as error:
                raise self._unusable("written", error) from error
            if self._is_new:
                # After the line, so it never promises too much. A failure leaves only cuts unnoticed.
                with contextlib.suppress(OSError):
                    _write(descriptor, self._first_line(self._offset + len(line)), 0)

    def _read(self) -> None:
        """Folds what any process has appended until now."""
        with self._thread:
            try:
                self._read_on()
            except InputError:
                if self._descriptor is not None:
                    raise
                # A line may have been removed and another written while it was read; under the lock none is.
                with _shared(self.path):
                    self._forget()
                    self._read_on()

    def _open(self) -> int:
        try:
            _make_folder(self.path.parent)
            with contextlib.suppress(FileNotFoundError):
                return os.open(self.path, os.O_RDWR)
            self._create()
            return os.open(self.path, os.O_RDWR)
        except OSError as error:
            raise self._unusable("written", error) from error

    def _create(self) -> None:
        """Makes the file with a whole first line: an empty journal is always one that was cut off."""
        with contextlib.suppress(FileExistsError):
            create_bytes(self.path, self._first_line(self._first_size))
            sync_folder(self.path.parent)

    def _read_on(self) -> None:
        """Folds the lines that were added since the last time."""
        try:
            with self.path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                file = (status.st_dev, status.st_ino)
                if file != self._file or status.st_size < self._offset:
                    self._forget()
                    self._file = file
                # Before the rest is read: what it promises is then there, whoever appends meanwhile.
                first = stream.read(self._first_size)
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise self._unusable("read", error) from error
        try:
            self._take_lines(self._promised(first), content)
        except InputError:
            self._forget()
            raise

    def _take_lines(self, promised: int, content: bytes) -> None:
        whole = content.rfind(b"\n") + 1
        if self._offset + whole < promised:
            raise InputError(
                f"the {self.what} {self.path} was cut off after {self._offset + whole} bytes",
                expected=f"at least the {promised} bytes that were written",
                todo=self.todo_damaged,
            )
        for line in content[:whole].split(b"\n")[:-1]:
            self._take(line + b"\n")
            self._offset += len(line) + 1

    def _forget(self) -> None:
        self._clear()
        self._offset = self._lines = 0
        self._file = None

    def _take(self, line: bytes) -> None:
        if self._lines == 0:
            self._is_new = line != self._old_line
            self._seal = LineSeal(self.format.encode(), all_sealed=self._is_new)
        else:
            try:
                self._fold(self._seal.open(line))
            except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                raise InputError(
                    f"line {self._lines + 1} of the {self.what} {self.path} is damaged ({_reason(error)})",
                    expected="the event as it was written",
                    todo=self.todo_damaged,
                ) from error
        self._lines += 1

    def _first_line(self, size: int) -> bytes:
        """The first line of a file of that many bytes."""
        return b'%s"version": 2, "bytes": "%0*d"}\n' % (self._start, _SIZE_DIGITS, size)

    def _promised(self, first: bytes) -> int:
        """How many bytes the file must have, as its first line tells; one of version 1 promises nothing."""
        if self.reads_unchecked and first.startswith(self._old_line):
            return 0
        digits = first[-_SIZE_DIGITS - 3 : -3]
        if not (digits.isdigit() and first == self._first_line(int(digits))):
            raise self._foreign()
        return int(digits)

    def _foreign(self) -> InputError:
        return InputError(
            f"{self.path} is no {self.what} that this version can read",
            expected=f"a file that begins with {self._first_line(0).decode().strip()}",
            todo=self.todo_foreign,
        )

    def _unusable(self, how: str, error: OSError) -> InputError:
        return InputError(
            f"the {self.what} {self.path} cannot be {how}: {error.strerror or error}",
            expected="a file to read and append to, with room on its disk",
            todo=self.todo_unusable,
        )


@contextlib.contextmanager
def _shared(path: Path) -> Iterator[None]:
    """Keeps everybody from appending, where the file can be opened at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _write(descriptor: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        count = os.pwrite(descriptor, left, offset)
        left, offset = left[count:], offset + count


def _make_folder(folder: Path) -> None:
    """Makes `folder` and its parents, each synced into the one above."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
