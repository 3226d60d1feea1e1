"""Trackers: each arm of a run is a training of its own, and a resumed run goes on in the same one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.errors import InputError
from hybridqies.records import read_record, write_record
from hybridqies.runs.folder import TRACKERS
from hybridqies.runs.hooks import Hooks
from hybridqies.trackers import Destination, Tracker, read_destinations
from hybridqies.trackers.base import Scalar
from hybridqies.training.history import METRICS, read_history

Curves = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_SECRETS = (
    "HF_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "TRACKIO_WRITE_TOKEN",
)
# Their passwords and queries are secrets.
_ADDRESSES = ("MLFLOW_TRACKING_URI", "TRACKIO_SERVER_URL")
# Shorter names of users occur in ordinary words.
_TOKEN = 8
# To the last @ of the host: a password may have one, too.
_USER_IN_ADDRESS = re.compile(r"(?<=://)[^/\s]+@")


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
    """Gives trackers what happens in the trainings of `folder`; a context, which ends what is still open.

    A tracker that fails is dropped, and `warn` gets one line about it; `what` is what goes on without it.
    Each training has a key in `trackers.json`, with the name that the tracker gave it, the last epoch that it
    was shown, and whether it was shown the end.
    """

    def __init__(
        self,
        trackers: Mapping[Destination, Tracker],
        folder: Path,
        warn: Callable[[str], None],
        what: str = "run",
    ) -> None:
        self._trackers = {destination.word: tracker for destination, tracker in trackers.items()}
        self._folder, self._warn, self._what = folder, warn, what
        self._known: dict[str, dict[str, dict[str, Any]]] = {}
        self._open: dict[str, str] = {}
        """The training that each tracker is in, by its key."""

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
        self._each(lambda word, tracker: tracker.end(None) if word in self._open else None)
        self._open.clear()

    @property
    def is_empty(self) -> bool:
        """Whether there is no tracker, or none is left."""
        return not self._trackers

    def read(self) -> None:
        """Reads what trackers were shown before, by this process or another.

        Raises
        ------
        ModelFolderError: the record of it is damaged.
        """
        path = self._folder / TRACKERS
        if self._trackers and path.is_file():
            self._known = read_record(path, what="record of trackers", todo="delete it to begin new ones")

    def watch(self, hooks: Hooks, curves: Curves = dict) -> Hooks:
        """The same callbacks, which tell trackers as well; `curves` gives what they show of an epoch."""
        if self.is_empty:
            return hooks

        def begin(arm: str, folder: Path, config: Mapping[str, Any]) -> None:
            hooks.on_begin(arm, folder, config)
            self.begin(arm, arm, config, [curves(record) for record in _epochs(folder)])

        def epoch(record: dict[str, Any]) -> None:
            hooks.on_epoch(record)
            self.log(curves(record))

        def end(result: Mapping[str, Any]) -> None:
            hooks.on_end(result)
            self.end(result)

        def finished(arm: str, folder: Path, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
            hooks.on_finished(arm, folder, config, result)
            self.show(arm, arm, config, [curves(record) for record in _epochs(folder)], result)

        return replace(hooks, on_begin=begin, on_epoch=epoch, on_end=end, on_finished=finished)

    def begin(
        self, key: str, name: str, config: Mapping[str, Any], history: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """A training begins or goes on; trackers get the epochs of its history that they were not shown yet.

        `name` is for people, behind the name of the folder, and `config` may be nested.
        """
        self.read()
        options, name = flatten(config), self._full(name)
        self._each(lambda word, tracker: self._begin_one(word, tracker, key, name, options, history))

    def log(self, record: Mapping[str, Any]) -> None:
        """An epoch of the training that began last."""
        self._each(lambda word, tracker: self._log_one(word, tracker, record))

    def end(self, result: Mapping[str, Any]) -> None:
        """The training that began last has ended."""
        self._each(lambda word, tracker: self._end_one(word, tracker, result))

    def show(
        self,
        key: str,
        name: str,
        config: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]],
        result: Mapping[str, Any],
    ) -> None:
        """A training that has ended, for the trackers that were not shown its end."""
        self.read()
        options, name = flatten(config), self._full(name)

        def tell(word: str, tracker: Tracker) -> None:
            if not self._known.get(word, {}).get(key, {}).get("ended", False):
                self._begin_one(word, tracker, key, name, options, history)
                self._end_one(word, tracker, result)

        self._each(tell)

    def _begin_one(
        self,
        word: str,
        tracker: Tracker,
        key: str,
        name: str,
        options: Mapping[str, Scalar],
        history: Sequence[Mapping[str, Any]],
    ) -> None:
        new = {"training": None, "epoch": 0}
        known = new | self._known.setdefault(word, {}).get(key, {}) | {"ended": False}
        known["training"] = tracker.begin(name, options, known["training"])
        self._open[word] = key
        self._known[word][key] = known
        # At once: after a kill the training is gone on with.
        self._record()
        for record in history:
            self._log_one(word, tracker, record)

    def _log_one(self, word: str, tracker: Tracker, record: Mapping[str, Any]) -> None:
        if word not in self._open:
            return
        known = self._known[word][self._open[word]]
        if record["epoch"] > known["epoch"]:
            tracker.log(_numbers(record, without="epoch"), record["epoch"])
            known["epoch"] = record["epoch"]
            self._record()

    def _end_one(self, word: str, tracker: Tracker, result: Mapping[str, Any]) -> None:
        tracker.end({f"result/{name}": value for name, value in _numbers(result).items()})
        self._known[word][self._open.pop(word)]["ended"] = True
        self._record()

    def _each(self, tell: Callable[[str, Tracker], None]) -> None:
        for word, tracker in list(self._trackers.items()):
            try:
                tell(word, tracker)
            except Exception as error:  # Any package may raise anything, and no run may be lost by that.
                del self._trackers[word]
                self._open.pop(word, None)
                self._warn(
                    f"tracker {word!r} failed, and the {self._what} goes on without it: {_about(error)}"
                )

    def _full(self, name: str) -> str:
        return f"{self._folder.resolve().name}/{name}"

    def _record(self) -> None:
        write_record(self._folder / TRACKERS, self._known)


def _epochs(folder: Path) -> tuple[dict[str, Any], ...]:
    """What epochs have recorded, if there were any."""
    return read_history(folder) if (folder / METRICS).is_file() else ()


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
        secrets += _secrets_of(os.environ.get(name, ""))
    text = _USER_IN_ADDRESS.sub("***@", f"{type(error).__name__}: {error}")
    return scrub(text, secrets)


def _secrets_of(address: str) -> list[str]:
    """Password and query of an address, as they stand there and decoded.

    A long user without a password is a token.
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # No address: none of it is known to be harmless.
        return [address]
    user = parts.username or ""
    is_token = parts.password is None and len(user) >= _TOKEN
    found = [each for each in (parts.query, parts.password, user if is_token else "") if each]
    return [*found, *map(unquote, found)]
