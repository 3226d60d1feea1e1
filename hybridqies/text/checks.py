"""What makes a text or a label usable, for readers, encoder, cache and estimators alike."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hybridqies.errors import DataError

MAX_LABEL = 1_000
"""Characters that a label may have; a longer one is a text in the wrong column."""

_HALF = "holds half of a surrogate pair, which is not a character"
_KINDS = {str: "strings", int: "integers", float: "decimals", bool: "booleans"}


class DataWarning(UserWarning):
    """Data that can be used, and is likely not what was meant."""


def fault_of(text: object, what: str = "the text") -> str | None:
    """What is wrong with `text` as a text, or None when nothing is; `what` is how a message calls it."""
    if not isinstance(text, str):
        return f"{what} is {describe_value(text)}, not a string"
    if not text.strip():
        return f"{what} is empty"
    return None if _is_unicode(text) else f"{what} {_HALF}"


def fault_of_label(label: object) -> str | None:
    """What is wrong with `label` as a label, or None when nothing is."""
    if label is None or (isinstance(label, str) and not label.strip()):
        return "the label is missing"
    if isinstance(label, str):
        if len(label) > MAX_LABEL:
            return f"the label has {len(label):,} characters, more than {MAX_LABEL:,}"
        return None if _is_unicode(label) else f"the label {_HALF}"
    if isinstance(label, int):
        return None if -(2**63) <= label < 2**63 else "the label is an integer of more than 64 bits"
    if isinstance(label, float) and math.isfinite(label):
        return None
    return f"the label is {describe_value(label)}"


def unify_labels(labels: Iterable[Any], what: str) -> list[Any]:
    """The labels as values of one kind; integers beside decimals become decimals.

    Raises
    ------
    DataError: two kinds; `what` names the labels.
    """
    listed = list(labels)
    kinds = {type(label) for label in listed}
    if kinds == {int, float} and all(abs(label) <= 2**53 for label in listed):
        return [float(label) for label in listed]
    if len(kinds) > 1:
        names = " and ".join(name for kind, name in _KINDS.items() if kind in kinds)
        raise DataError(f"{what} mix {names}", expected="one kind", todo="write all of them as strings")
    return listed


def warn_of_twins(classes: Iterable[Any], name: str) -> None:
    """Warns of labels that differ by spaces or case only, which makes them different classes."""
    similar = defaultdict(list)
    for label in classes:
        if isinstance(label, str):
            similar[" ".join(label.split()).casefold()].append(label)
    twins = [", ".join(map(repr, labels)) for labels in similar.values() if len(labels) > 1]
    if twins:
        shown = "; ".join(twins[:5]) + ("; …" if len(twins) > 5 else "")
        warnings.warn(
            f"labels of {name} differ by spaces or case only and count as different classes: {shown}",
            DataWarning,
            stacklevel=3,
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def describe_value(value: object) -> str:
    """Type and value in a few words, whatever the value is."""
    kind = type(value).__name__
    try:
        shown = repr(value)
    except ValueError:
        # Python refuses to write integers of thousands of digits.
        return f"{kind} of thousands of digits"
    return f"{kind} {shown if len(shown) <= 40 else shown[:40] + '…'}"


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


def plain_values(given: Any) -> Any:
    """What a column of a data frame or an Arrow array holds; everything else as it is."""
    for convert in ("to_pylist", "to_numpy"):
        if hasattr(given, convert):
            return getattr(given, convert)()
    return given


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
        return tuple(each.item() if hasattr(each, "item") else each for each in plain_values(given))
    except TypeError:
        raise DataError(
            f"{type(given).__name__} was given in the place of labels", expected="a list, one label a text"
        ) from None
