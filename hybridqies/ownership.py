"""One owner per folder: a lock that the kernel holds for a process and releases when it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from pathlib import Path

from hybridqies.errors import InputError

_LIMIT = 4096


class FolderLock:
    """Keeps every other process, and every other lock in this one, from owning `folder`; a context manager.

    The lock is a file beside the folder, `.<name>.lock`, so the folder may be made, renamed and replaced
    while it is held. Where nothing may be written beside the folder, the folder itself is locked: nobody
    can rename it there. A file left by a killed process locks nothing. Readers need no lock.

    Raises
    ------
    InputError: on entry, when somebody else owns the folder, or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if not self.folder.name:
            raise InputError(f"{str(folder)!r} is the root of the file system", expected="a folder below it")
        self.path = self.folder.with_name(f".{self.folder.name}.lock")
        self._descriptor: int | None = None
        self._is_file = True

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Takes the lock, or raises InputError at once."""
        if self._descriptor is not None:
            raise self._refused("this lock")
        while self._descriptor is None:
            descriptor = self._open()
            try:
                self._lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            # The owner before may have deleted the file between our opening and locking it.
            if self._is_file and not _is_at(descriptor, self.path):
                os.close(descriptor)
            else:
                self._descriptor = descriptor
        if self._is_file:
            self._sign(self._descriptor)

    def release(self) -> None:
        """Gives the folder back; nothing happens where it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if self._is_file:
            self.path.unlink(missing_ok=True)
        # A forked child shares the descriptor, and with it a lock that outlives our closing.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            self._is_file = self.path.exists()
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not self.folder.is_dir():
                raise
            # Somebody else's lock file can be locked without being written to.
            return os.open(self.path if self._is_file else self.folder, os.O_RDONLY)
        self._is_file = True
        return descriptor

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refused(self._owner(descriptor)) from None
        except OSError as error:
            raise InputError(
                f"{str(self.folder)!r} cannot be locked: {error.strerror}",
                expected="a file system with locks",
                todo="choose a folder on another disk",
            ) from None

    def _sign(self, descriptor: int) -> None:
        """Writes down who holds the lock, for the message that others get; the lock does not depend on it."""
        owner = {"process": os.getpid(), "host": socket.gethostname()}
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(owner).encode() + b"\n", 0)

    def _owner(self, descriptor: int) -> str:
        """Who holds the lock, as its file tells."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if self._is_file:
                owner = json.loads(os.pread(descriptor, _LIMIT, 0))
                return f"process {int(owner['process'])} on {str(owner['host'])!r:.80}"
        return "another process"

    def _refused(self, owner: str) -> InputError:
        return InputError(
            f"{str(self.folder)!r} is in use by {owner}",
            expected="a folder that nobody is writing to",
            todo="wait until it has ended, or choose another folder",
        )


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that the path names."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), named)
