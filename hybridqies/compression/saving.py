"""Folders of compressed models: written whole or not at all, with cores or dense for plain transformers."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hybridqies.compression.model import to_dense
from hybridqies.errors import InputError
from hybridqies.factorised import keep_factors, load_compressed, save_compressed

__all__ = ["check_new", "export_dense", "keep_factors", "load_compressed", "making_folder", "save_compressed"]


@contextlib.contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """Yields a new folder beside `folder`; on success it becomes `folder`, on error it vanishes.

    Raises
    ------
    InputError: `folder` exists and is not empty.
    """
    check_new(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(6)}")
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new(folder: Path) -> None:
    """Refuses a path where something is already, with an InputError."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} exists", expected="a new folder", todo="choose another --out")


def export_dense(model: Any, folder: Path) -> None:
    """Writes the model with plain layers, as any transformers model; its compressed layers are replaced."""
    to_dense(model)
    model.save_pretrained(folder)
