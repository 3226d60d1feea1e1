"""The errors that a user can meet, each one clear line: what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HybridqiesError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(HybridqiesError, ValueError):
    """Something given from outside cannot be used.

    The message is one line: the problem (naming what was given), what was
    expected, and what to do about it. The command line prints it and exits 2.
    """

    def __init__(self, problem: str, *, expected: str = "", todo: str = "") -> None:
        parts = [problem]
        if expected:
            parts.append(f"expected {expected}")
        if todo:
            parts.append(todo)
        super().__init__(" ".join("; ".join(parts).split()))


class UnknownNameError(InputError):
    """A name that is in no table; the message offers the nearest one that is. `todo` begins in lower case."""

    def __init__(self, kind: str, given: str, known: Iterable[str], *, todo: str = "") -> None:
        names = sorted(known)
        close = nearest(given, names)
        super().__init__(
            f"unknown {kind} {given!r}",
            expected=f"one of {', '.join(names)}" if names else "none: there are none",
            todo=suggest(close, todo),
        )
        self.nearest = close
        self.kind, self.given, self.known = kind, given, tuple(names)


class CircuitError(InputError):
    """A circuit, gate, observable or recipe that is not well formed."""


class DataError(InputError):
    """Texts, labels or a data file that cannot be used."""


class ModelFolderError(InputError):
    """A saved model or run folder that is missing, truncated, altered or from another version."""


class CapabilityError(InputError):
    """A backend was asked for something it does not do; it never does something else instead."""


class MissingExtraError(HybridqiesError, ImportError):
    """An optional dependency is needed and not installed; the message says how to install it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs a package that is not installed; "
            f"install it with: pip install 'hybridqies[{extra}]'"
        )


def suggest(close: str | None, todo: str = "") -> str:
    """A hint about an unknown name: "did you mean 'x'? Or give …", or `todo` alone without a close name."""
    if close is None:
        return todo
    return f"did you mean {close!r}? {todo[:1].upper()}{todo[1:]}".rstrip()


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known name closest to `given`, or None when nothing is close."""
    by_folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(given.casefold(), list(by_folded), n=1, cutoff=0.5)
    return by_folded[close[0]] if close else None
