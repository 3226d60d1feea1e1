"""What became of a study's trials, on disk before anything relies on it, and who runs which.

Events of the journal:

    study    what the study is about: fingerprints, and the test texts of each seed
    claimed  a process began a trial
    done     its record
    failed   its error
    retried  trials whose failures count no longer; the lines of those stay

A claim itself is a lock on one byte of a file beside the journal, at a place that the trial's key gives.
The kernel releases it when the process that holds it dies, however it dies: a killed process's trials are
free again at once, and nobody has to guess after how long a silent process is dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from hybridqies.errors import InputError
from hybridqies.journals import LineJournal
from hybridqies.study.trials.outcome import Keyed, TrialFailure
from hybridqies.study.trials.trial import TrialRecord

FILE_NAME, CLAIMS = "trials.jsonl", "trials.lock"
# Offsets of locks are signed 64-bit numbers: 15 hex digits fit.
_DIGITS = 15
# Behind the bytes of all trials.
_TELLING = 16**_DIGITS


Record = TypeVar("Record", bound=Keyed)


@dataclass(slots=True)
class JournalState(Generic[Record]):
    """The journal so far, by key."""

    about: dict[str, Any] | None = None
    claims: dict[str, int] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    failures: dict[str, TrialFailure] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Whether the trial is over, one way or the other."""
        return key in self.records or key in self.failures


StudyState = JournalState[TrialRecord]


class ClaimJournal(LineJournal, Generic[Record]):
    """A journal of work that processes share out by claims; a subclass says what its records are.

    One process uses one at a time: claims are the process's own.
    """

    file_name: ClassVar[str]
    todo_damaged: ClassVar[str] = "restore the file, or start another study with another --out"
    todo_foreign: ClassVar[str] = "give the folder of a study"
    todo_unusable: ClassVar[str] = "fix that, or start another study with another --out"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / self.file_name)
        self._claims_path = folder / CLAIMS
        self._claims: int | None = None
        self._held: set[str] = set()
        self._state: JournalState[Record] = JournalState()

    @staticmethod
    @abstractmethod
    def _read_record(values: Mapping[str, Any]) -> Record:
        """The record that `to_mapping` wrote; KeyError, TypeError or ValueError for anything else."""

    def _check_about(self, about: Mapping[str, Any]) -> None:
        """KeyError or TypeError where what the journal is about is damaged."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives every claim back."""
        if self._claims is not None:
            os.close(self._claims)
            self._claims = None
        self._held.clear()

    def state(self) -> JournalState[Record]:
        """What any process has appended until now."""
        self._read()
        return self._state

    def begin(self, about: Mapping[str, Any]) -> None:
        """Records what the study is about, once; several processes may begin it together.

        Raises
        ------
        InputError: it was begun with something else.
        """
        with self.locked():
            known = self.state().about
            if known is None:
                self._append({"event": "study", "time": time.time(), "about": about})
            # Journals of earlier versions name no device: they are of studies on the CPU.
            elif {"device": "cpu", **known} != {"device": "cpu", **about}:
                raise self._was_another()

    def check_plan(self, digest: str, device: str) -> None:
        """Refuses a plan or a kind of device that the study was not begun with, before its data is read.

        Raises
        ------
        InputError: it was begun with a plan of another digest, or on another kind of device.
        """
        known = self.state().about
        if known is None:
            return
        if known.get("plan_sha256") != digest:
            raise self._was_another()
        begun = known.get("device", "cpu")
        if begun != device:
            raise InputError(
                f"the study in {self.path.parent} was begun on {begun}, and was to be continued on {device}",
                expected=f"--device {begun}, as numbers differ between devices",
                todo="give it, or start another study with another --out",
            )

    def _was_another(self) -> InputError:
        return InputError(
            f"the study in {self.path.parent} was begun with another plan, data or encoder",
            expected="them as they were",
            todo="put them back, or start another study with another --out",
        )

    def retry_failed(self, keys: Iterable[str]) -> None:
        """Counts those of the trials that failed as missing; one line for all, so that no kill splits it."""
        with self.locked():
            failures = self.state().failures
            failed = [key for key in keys if key in failures]
            if failed:
                self._append({"event": "retried", "keys": failed, "time": time.time()})

    def claim(self, key: str) -> bool:
        """Takes the trial for this process; False when it is over, or another process has it."""
        # The kernel would grant this process its own lock a second time.
        if key in self._held or not self._lock(key):
            return False
        if self.state().has(key):
            self.release(key)
            return False
        owner = {"process": os.getpid(), "host": socket.gethostname()}
        self._append({"event": "claimed", "key": key, "time": time.time(), **owner})
        return True

    def release(self, key: str) -> None:
        """Gives a claim back."""
        self._held.discard(key)
        fcntl.lockf(self._claims_descriptor(), fcntl.LOCK_UN, 1, int(key[:_DIGITS], 16))

    def settle(self, outcome: Record | TrialFailure) -> None:
        """Records what came of a claimed trial, and gives the claim back."""
        if isinstance(outcome, TrialFailure):
            content = {"event": "failed", "failure": outcome.to_mapping()}
        else:
            content = {"event": "done", "record": outcome.to_mapping()}
        self._append({"key": outcome.key, "time": time.time(), **content})
        self.release(outcome.key)

    @contextlib.contextmanager
    def telling(self, *, wait: bool) -> Iterator[bool]:
        """Keeps every other process from telling trackers of this study meanwhile.

        Yields whether this process may: with `wait` it does when the others have told theirs.
        """
        told = self._lock_byte(_TELLING, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield told
        finally:
            if told:
                fcntl.lockf(self._claims_descriptor(), fcntl.LOCK_UN, 1, _TELLING)

    def _lock(self, key: str) -> bool:
        if not self._lock_byte(int(key[:_DIGITS], 16), fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
        self._held.add(key)
        return True

    def _lock_byte(self, place: int, flags: int) -> bool:
        try:
            fcntl.lockf(self._claims_descriptor(), flags, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise self._unusable("locked", error) from error
        return True

    def _claims_descriptor(self) -> int:
        # Kept open: closing any descriptor of the file gives up all of the process's locks on it.
        if self._claims is None:
            self._claims_path.parent.mkdir(parents=True, exist_ok=True)
            self._claims = os.open(self._claims_path, os.O_RDWR | os.O_CREAT, 0o666)
        return self._claims

    def _clear(self) -> None:
        self._state = JournalState()

    def _check(self, event: Mapping[str, Any]) -> None:
        if event["event"] in ("done", "failed") and self._state.has(event["key"]):
            raise InputError(
                f"trial {event['key']} of {self.path} was to be recorded twice", expected="one record a trial"
            )

    def _fold(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "study":
                self._check_about(event["about"])
                self._state.about = event["about"]
            case "claimed":
                self._state.claims[event["key"]] = self._state.claims.get(event["key"], 0) + 1
            case "done":
                self._check_key(event, event["record"])
                self._state.records[event["key"]] = self._read_record(event["record"])
            case "failed":
                self._check_key(event, event["failure"])
                self._state.failures[event["key"]] = TrialFailure.from_mapping(event["failure"])
            case "retried":
                for key in event["keys"]:
                    del self._state.failures[key]
            case unknown:
                raise ValueError(unknown)

    def _check_key(self, event: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        """Refuses an outcome under another trial's key, and a second one for the same trial."""
        if outcome["key"] != event["key"]:
            raise ValueError(f"the outcome is that of trial {outcome['key']!r}")
        if self._state.has(event["key"]):
            raise ValueError("the trial has an outcome already")


class TrialJournal(ClaimJournal[TrialRecord]):
    """The journal of the study in `folder`."""

    format: ClassVar[str] = "hybridqies-trials"
    what: ClassVar[str] = "trial journal"
    file_name: ClassVar[str] = FILE_NAME

    @staticmethod
    def _read_record(values: Mapping[str, Any]) -> TrialRecord:
        return TrialRecord.from_mapping(values)

    def _check_about(self, about: Mapping[str, Any]) -> None:
        if not isinstance(about["test_texts"], dict):
            raise TypeError("the test texts are no table")
