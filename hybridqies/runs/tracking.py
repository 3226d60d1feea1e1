"""Trackers during a run: each arm is a training of its own, and a resumed run goes on in the same one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.errors import InputError
from hybridqies.records import read_record, write_record
from hybridqies.runs.folder import TRACKERS
from hybridqies.runs.hooks import Hooks
from hybridqies.trackers import Destination, Tracker, read_destinations
from hybridqies.trackers.base import Scalar
from hybridqies.training.history import METRICS, read_history

_SECRETS = (
    "HF_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "TRACKIO_WRITE_TOKEN",
)
# Their passwords and queries are secrets.
_ADDRESSES = ("MLFLOW_TRACKING_URI", "TRACKIO_SERVER_URL")
_USER_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+@")


def make_trackers(words: Sequence[str], folder: Path) -> dict[Destination, Tracker]:
    """The trackers that words such as `tensorboard` and `mlflow:URI` name, for the run in `folder`.

    Raises
    ------
    UnknownNameError: no tracker has that name.
    InputError: a word given twice, an empty target, or one with credentials in it.
    MissingExtraError: the package of a tracker is not installed.
    """
    return {each: each.make(folder) for each in read_destinations(words)}


class Tracking:
    """Gives trackers what happens in the run of `folder`; a context, which ends what is still open.

    A tracker that fails is dropped for the rest of the run, and `warn` gets one line about it.
    """

    def __init__(
        self, trackers: Mapping[Destination, Tracker], folder: Path, warn: Callable[[str], None]
    ) -> None:
        self._trackers = {destination.word: tracker for destination, tracker in trackers.items()}
        self._folder, self._warn = folder, warn
        self._arm: str | None = None
        self._known: dict[str, dict[str, dict[str, Any]]] = {}

    def __enter__(self) -> Tracking:
        for word, tracker in self._trackers.items():
            try:
                tracker.connect()
            except Exception as error:  # Any package may raise anything.
                raise InputError(
                    f"tracker {word!r} cannot be used: {_about(error)}",
                    todo="correct its target or leave out --log-to",
                ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._arm is not None:
            self._each(lambda _, tracker: tracker.end(None))
            self._arm = None

    def watch(self, hooks: Hooks) -> Hooks:
        """The same callbacks, which tell trackers as well."""
        if not self._trackers:
            return hooks

        def epoch(record: dict[str, Any]) -> None:
            hooks.on_epoch(record)
            self._log(record)

        return Hooks(
            on_stage=hooks.on_stage,
            on_text=hooks.on_text,
            on_epoch=epoch,
            on_compile=hooks.on_compile,
            on_begin=self._begin,
            on_end=self._end,
        )

    def _begin(self, arm: str, folder: Path, config: Mapping[str, Any]) -> None:
        """An arm begins or goes on; trackers get the epochs before that they were not given yet."""
        path = self._folder / TRACKERS
        if not self._known and path.is_file():
            self._known = read_record(path, what="record of trackers", todo="delete it to begin new ones")
        self._arm = arm
        history = read_history(folder) if (folder / METRICS).is_file() else ()
        options, name = flatten(config), f"{self._folder.resolve().name}/{arm}"

        def begin(word: str, tracker: Tracker) -> None:
            before = self._known.setdefault(word, {}).get(arm, {"training": None, "epoch": 0})
            training = tracker.begin(name, options, before["training"])
            self._known[word][arm] = {**before, "training": training}
            for record in history:
                self._log_one(word, tracker, record)

        self._each(begin)
        self._record()

    def _log(self, record: Mapping[str, Any]) -> None:
        if self._arm is not None:
            self._each(lambda word, tracker: self._log_one(word, tracker, record))
            self._record()

    def _log_one(self, word: str, tracker: Tracker, record: Mapping[str, Any]) -> None:
        known = self._known[word][str(self._arm)]
        if record["epoch"] > known["epoch"]:
            tracker.log(_numbers(record, without="epoch"), record["epoch"])
            known["epoch"] = record["epoch"]

    def _end(self, result: Mapping[str, Any]) -> None:
        numbers = {f"result/{name}": value for name, value in _numbers(result).items()}
        self._each(lambda _, tracker: tracker.end(numbers))
        self._arm = None

    def _each(self, tell: Callable[[str, Tracker], None]) -> None:
        for word, tracker in list(self._trackers.items()):
            try:
                tell(word, tracker)
            except Exception as error:  # Any package may raise anything, and no run may be lost by that.
                del self._trackers[word]
                self._warn(f"tracker {word!r} failed, and the run goes on without it: {_about(error)}")

    def _record(self) -> None:
        write_record(self._folder / TRACKERS, self._known)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """A nested configuration with dotted keys; lists as JSON, and nothing of what is None."""
    flat: dict[str, Scalar] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float):
            flat[f"{prefix}{key}"] = value
        elif value is not None:
            flat[f"{prefix}{key}"] = json.dumps(value)
    return flat


def _numbers(record: Mapping[str, Any], without: str = "") -> dict[str, float]:
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != without
    }


def _about(error: Exception) -> str:
    """What is wrong, on one line and without credentials."""
    secrets = [os.environ.get(name, "").strip() for name in _SECRETS]
    for name in _ADDRESSES:
        parts = urlsplit(os.environ.get(name, ""))
        secrets += [parts.query, parts.password or ""]
    text = _USER_IN_ADDRESS.sub("***@", f"{type(error).__name__}: {error}")
    return scrub(text, secrets)
