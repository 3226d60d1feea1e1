"""What makes a text usable, asked in one place by readers, encoder and cache."""

from __future__ import annotations

from collections.abc import Sequence

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
