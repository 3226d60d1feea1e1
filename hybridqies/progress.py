"""How far long work has got, as lines: for log files and wherever there is no terminal."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Seconds until the first line of a stage, and from each line to the next: short work is not worth a word.
_PAUSES = (5.0, 5.0, 10.0, 10.0, 30.0, 60.0)
COMPILING = "compiling kernels, once on this machine"
_LIVE = {"train_loss": "loss", "validation_accuracy": "val acc", "validation_log_loss": "val loss"}


class ProgressLines:
    """Writes a line about the current stage when it has lasted five seconds, and then more and more rarely.

    As a context manager it has a thread that writes even while the work reports nothing.
    `clock` counts seconds.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._stage: str | None = None
        self._done = self._total = 0
        self._note = ""
        self._said: tuple[int, str] | None = None
        self._start = self._due = 0.0
        self._pauses: Iterator[float] = iter(())
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ProgressLines:
        self._thread = threading.Thread(target=self._watch, name="hybridqies-progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if kind is None:
            self.end()

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` steps begins, `done` of them before; the stage before it is over."""
        with self._lock:
            self.end()
            self._stage, self._done, self._total, self._note = stage, done, total, ""
            self._said, self._start = None, self._clock()
            self._pauses = itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))
            self._due = self._start + next(self._pauses)

    def update(self, done: int, total: int, note: str = "") -> None:
        """So many steps of the stage are done; `note` is what else there is to say."""
        with self._lock:
            self._done, self._total, self._note = done, total, note
            self.tick()

    def tell_of_compilation(self) -> None:
        """Kernels are about to be compiled."""
        self.tell(COMPILING)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch is over; `record` is its line in `metrics.jsonl`."""
        self.update(record["epoch"], max(self._total, record["epoch"]), describe_epoch(record))

    def tell(self, message: str) -> None:
        """Writes a line at once."""
        with self._lock:
            self._write(message)

    def tick(self) -> None:
        """Writes a line where one is due."""
        with self._lock:
            if self._stage is not None and self._clock() >= self._due:
                self._due = self._clock() + next(self._pauses)
                self._say()

    def end(self) -> None:
        """The stage is over: a last line, if it had any and there is news."""
        with self._lock:
            if self._stage is not None and self._said not in (None, (self._done, self._note)):
                self._say()
            self._stage = None

    def _say(self) -> None:
        self._said = (self._done, self._note)
        count = f"{self._done:,} of {self._total:,}" if self._total > 1 else ""
        seconds = f"{self._clock() - self._start:.0f} s"
        self._write(f"{self._stage}: {', '.join(filter(None, (count, self._note, seconds)))}")

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self.tick()


def describe_epoch(record: Mapping[str, Any]) -> str:
    """Loss and accuracy of an epoch, as far as they were measured."""
    return "  ".join(f"{short} {record[name]:.3f}" for name, short in _LIVE.items() if name in record)
