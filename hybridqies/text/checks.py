"""What makes a text usable, asked in one place by readers, encoder and cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from hybridqies.errors import DataError


def fault_of(text: object) -> str | None:
    """What is wrong with `text` as a text, or None when nothing is."""
    if not isinstance(text, str):
        return f"the text is {type(text).__name__} {text!r}, not a string"
    if not text.strip():
        return "the text is empty"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "the text holds half of a surrogate pair, which is not a character"
    return None


def check_texts(texts: Sequence[str]) -> None:
    """Raises DataError for the first text that can't be embedded, counting from 1."""
    if isinstance(texts, str):
        raise DataError(
            f"one string was given: {texts[:40]!r}", expected="a list of texts", todo="wrap it in a list"
        )
    for number, text in enumerate(texts, start=1):
        fault = fault_of(text)
        if fault:
            raise DataError(
                f"text {number} of {len(texts)}: {fault}",
                expected="a string with at least one visible character",
                todo="fill it in or leave it out",
            )


def as_texts(given: Any) -> tuple[str, ...]:
    """Texts from a list, a tuple, a NumPy array or a pandas Series of strings; checked as `check_texts` does.

    Raises
    ------
    DataError: something that is no sequence of texts, such as a table, a mapping or a single string.
    """
    kind = type(given).__name__
    if isinstance(given, str | bytes):
        raise DataError(
            f"one string was given: {given[:40]!r}", expected="a list of texts", todo="wrap it in a list"
        )
    if hasattr(given, "columns"):
        names = ", ".join(map(repr, list(given.columns)[:4]))
        raise DataError(
            f"a table ({kind}) was given in the place of texts",
            expected="a list or one column of strings",
            todo=f"give one of its columns: {names}",
        )
    if isinstance(given, Mapping | Set):
        raise DataError(f"a {kind} was given in the place of texts", expected="a list of strings")
    if getattr(given, "ndim", 1) != 1:
        raise DataError(
            f"an array of shape {tuple(given.shape)} was given in the place of texts",
            expected="one dimension",
            todo="give one column of it",
        )
    try:
        texts = tuple(str(text) if isinstance(text, str) else text for text in given)
    except TypeError:
        raise DataError(f"{kind} was given in the place of texts", expected="a list of strings") from None
    check_texts(texts)
    return texts


def as_labels(given: Any) -> tuple[Any, ...]:
    """Labels as plain Python values from a list, a NumPy array, a pandas Series or a tensor.

    Raises
    ------
    DataError: something that is no sequence of labels.
    """
    if isinstance(given, str | bytes | Mapping) or hasattr(given, "columns"):
        raise DataError(
            f"{type(given).__name__} was given in the place of labels", expected="a list, one label a text"
        )
    if getattr(given, "ndim", 1) != 1:
        raise DataError(
            f"labels were given with shape {tuple(given.shape)}", expected="one dimension, one label a text"
        )
    try:
        return tuple(each.item() if hasattr(each, "item") else each for each in given)
    except TypeError:
        raise DataError(
            f"{type(given).__name__} was given in the place of labels", expected="a list, one label a text"
        ) from None
