"""Whole files or none: everything is written beside its target, synced, and renamed over it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hybridqies.errors import InputError

# The second form is that of safetensors, which earlier versions let write files by itself.
_TEMPORARY = re.compile(r"\..+-[0-9a-f]{12}(\.[^.]*)?|\.tmp[0-9A-Za-z]{6}")

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def expand_home(path: str | Path) -> Path:
    """`path` with `~` and `~name` replaced by that home folder.

    Raises
    ------
    InputError: there is no such user, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{str(path)!r} names a home folder that doesn't exist",
            expected="a path that exists",
            todo="write the path out",
        ) from None


def default_cache_folder() -> Path:
    """$HYBRIDQIES_CACHE, else $XDG_CACHE_HOME/hybridqies, else ~/.cache/hybridqies.

    Raises
    ------
    InputError: the home folder that they name does not exist.
    """
    own, shared = os.environ.get("HYBRIDQIES_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return expand_home(own)
    # A relative XDG_CACHE_HOME is to be ignored, says the XDG base directory specification.
    base = Path(shared) if shared and Path(shared).is_absolute() else expand_home("~/.cache")
    return base / "hybridqies"


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside `target`; on success it becomes `target`, on error it vanishes.

    The temporary name keeps the suffix of the target, because picture writers
    choose their format by it. Parent folders are made.

    Raises
    ------
    OSError: it cannot be written, for instance because the disk is full; `filename` is the target.
    """
    with _beside(target) as temporary:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        # So that a file which relies on this one is not there after a power cut without it.
        with contextlib.suppress(OSError):
            sync_folder(target.parent)


def remove_leftovers(folder: Path) -> None:
    """Deletes the temporary files that killed processes left in `folder`; no other may be writing there."""
    for path in folder.glob(".*"):
        if is_leftover(path):
            path.unlink()


def is_leftover(path: Path) -> bool:
    """Whether `path` is a temporary file as a killed process leaves it behind."""
    return _TEMPORARY.fullmatch(path.name) is not None and path.is_file()


def write_bytes(target: Path, content: bytes) -> None:
    """Writes `content` to `target`, whole or not at all.

    On a file system that is read-only, a file that holds the content already counts as written.
    """
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        if error.errno != errno.EROFS or not (target.is_file() and target.read_bytes() == content):
            raise


def create_bytes(target: Path, content: bytes) -> None:
    """Writes `content` to a new file, whole or not at all; FileExistsError where there is one already."""
    with _beside(target) as temporary:
        temporary.write_bytes(content)
        _sync(temporary)
        try:
            os.link(temporary, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Such a file system has no way to do both at once; a kill just here leaves an empty file.
            with target.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())


def write_text(target: Path, content: str) -> None:
    """Writes UTF-8 text to `target`, whole or not at all."""
    write_bytes(target, content.encode("utf-8"))


def write_json(target: Path, content: Any) -> None:
    """Writes `content` as indented JSON.

    Raises
    ------
    InputError: it holds NaN, an infinity or half a surrogate pair, none of which JSON in UTF-8 can hold.
    """
    try:
        encoded = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except ValueError as error:
        raise InputError(f"{str(target)!r} cannot be written as JSON: {error}") from None
    write_bytes(target, encoded + b"\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yields a new name in the same folder, so that renaming it replaces the target in one step.

    What is left under that name at the end is deleted. Errors name the target: nobody knows the
    temporary name, and an error from an open stream names no file at all.
    """
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(6)}{target.suffix}")
    try:
        yield temporary
    except OSError as error:
        if error.errno is None or str(error.filename) not in ("None", str(temporary)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
    finally:
        # What went wrong before says more, and what is left is taken for a leftover.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Waits until the names in `folder` are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
