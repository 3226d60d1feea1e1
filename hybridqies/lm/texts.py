"""Texts to train on: files, and one that comes with the package."""

from __future__ import annotations

import lzma
from importlib import resources

from hybridqies.errors import DataError
from hybridqies.files import expand_home

BUILT_IN = "tiny_shakespeare"


def read_text(source: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark, or of `tiny_shakespeare`.

    Raises
    ------
    DataError: it cannot be read, is no UTF-8, or is empty.
    """
    path = expand_home(source)
    if source == BUILT_IN and not path.exists():
        folder = resources.files("hybridqies.lm").joinpath("data", BUILT_IN)
        return lzma.decompress(folder.joinpath("text.txt.xz").read_bytes()).decode("utf-8")
    try:
        # Editors put a mark of the byte order in front, which is no part of the text.
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise DataError(
            f"text {source!r} cannot be read ({error.strerror or error})",
            expected=f"a UTF-8 file, or {BUILT_IN}",
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"text {source!r} is no UTF-8 (byte {error.start})",
            expected="a UTF-8 file",
            todo="convert it",
        ) from None
    if not text:
        raise DataError(f"text {source!r} is empty", expected="some text")
    return text
