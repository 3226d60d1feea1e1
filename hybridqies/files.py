"""Whole files or none: everything is written beside its target, synced, and renamed over it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TEMPORARY = re.compile(r"\..+-[0-9a-f]{12}(\.[^.]*)?")


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside `target`; on success it becomes `target`, on error it vanishes.

    The temporary name keeps the suffix of the target, because picture and
    tensor writers choose their format by it. Parent folders are made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(6)}{target.suffix}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Deletes the temporary files that killed processes left in `folder`; no other may be writing there."""
    for path in folder.glob(".*"):
        if is_leftover(path):
            path.unlink()


def is_leftover(path: Path) -> bool:
    """Whether `path` is a temporary file as a killed process leaves it behind."""
    return _TEMPORARY.fullmatch(path.name) is not None and path.is_file()


def write_bytes(target: Path, content: bytes) -> None:
    """Writes `content` to `target`, whole or not at all."""
    with replacing(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Writes UTF-8 text to `target`, whole or not at all."""
    write_bytes(target, content.encode("utf-8"))


def write_json(target: Path, content: Any) -> None:
    """Writes `content` as indented JSON; NaN is refused because JSON has none."""
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
