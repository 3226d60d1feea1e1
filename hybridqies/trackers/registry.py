"""The table of trackers. A new one is a file beside this and a row here; the table drives tests and docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hybridqies.errors import InputError
from hybridqies.extensions import class_names, find_class
from hybridqies.trackers.base import Tracker

TRACKERS: dict[str, str] = {
    "tensorboard": "hybridqies.trackers.tensorboard:TensorBoard",
    "mlflow": "hybridqies.trackers.mlflow:MLflow",
    "trackio": "hybridqies.trackers.trackio:Trackio",
}

# Where other packages announce trackers of their own.
ENTRY_POINTS = "hybridqies.trackers"


@dataclass(frozen=True, slots=True)
class Destination:
    """A tracker by name, and where it writes to; `word` is how it was given, without credentials."""

    name: str
    target: str | None

    @property
    def word(self) -> str:
        """How `--log-to` takes it."""
        return self.name if self.target is None else f"{self.name}:{self.target}"

    def make(self, run: Path) -> Tracker:
        """The tracker, not connected yet, for the run in that folder.

        Raises
        ------
        UnknownNameError: there is no such tracker.
        MissingExtraError: its package is not installed.
        """
        found = find_class("tracker", self.name, TRACKERS, ENTRY_POINTS, Tracker)  # type: ignore[type-abstract]
        return found(self.target, run)


def tracker_names() -> list[str]:
    """Every tracker: those of the table, then those of installed packages."""
    return class_names(TRACKERS, ENTRY_POINTS)


def read_destinations(words: Sequence[str]) -> tuple[Destination, ...]:
    """Destinations from words such as `tensorboard`, `tensorboard:logs` and `mlflow:http://127.0.0.1:5000`.

    Raises
    ------
    UnknownNameError: no tracker has that name.
    InputError: a word given twice, an empty target, one that is no address, or one with credentials in it.
    """
    found = []
    for word in words:
        name, colon, target = word.partition(":")
        find_class("tracker", name, TRACKERS, ENTRY_POINTS, Tracker)  # type: ignore[type-abstract]
        if colon and not target:
            raise InputError(
                f"tracker {word!r} was given without a target", expected=f"{name}, or {name}:TARGET"
            )
        _refuse_credentials(name, target)
        found.append(Destination(name, target or None))
    for each in found:
        if found.count(each) > 1:
            raise InputError(f"tracker {each.word!r} was given twice", expected="each once")
    return tuple(found)


def _refuse_credentials(name: str, target: str) -> None:
    """Refuses a target with a password: command lines stay in histories and are seen by other users."""
    try:
        parts = urlsplit(target)
    except ValueError as error:
        raise InputError(
            f"the target of tracker {name!r} is no address: {error}", expected="an address, or a path"
        ) from None
    if "@" in parts.netloc or parts.query:
        raise InputError(
            f"the target of tracker {name!r} has a user, a password or a query in it",
            expected="an address without credentials",
            todo=f"give them to {name} in its environment variables",
        )
