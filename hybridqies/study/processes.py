"""An executor of local worker processes, one trial and one thread each."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from hybridqies.errors import InputError
from hybridqies.options import to_mapping
from hybridqies.study.config import DataOptions
from hybridqies.study.trial import Outcome, Trial, TrialFailure, outcome_from

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What keeps a worker to one thread: set before its libraries are loaded."""


class _Worker:
    """One process and the trial it is at."""

    def __init__(self, data: DataOptions, encoder: str) -> None:
        self._about = {"data": to_mapping(data), "encoder": encoder}
        self._start()

    def _start(self) -> None:
        self.trial: Trial | None = None
        self.since = 0.0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hybridqies.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | dict.fromkeys(THREADS, "1"),
            # An interrupt at the terminal is for the parent, which ends its workers.
            start_new_session=True,
        )
        self._send(self._about)

    def fileno(self) -> int:
        """What to wait on for its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def begin(self, trial: Trial) -> None:
        """Sends it a trial."""
        self.trial, self.since = trial, time.perf_counter()
        self._send(trial.to_mapping())

    def line(self) -> dict[str, Any] | None:
        """Its next line; None when it died."""
        assert self.process.stdout is not None
        read = self.process.stdout.readline()
        if not read.endswith(b"\n"):
            return None
        content: dict[str, Any] = json.loads(read)
        return content

    def take(self) -> Outcome:
        """What came of its trial; a worker that died is replaced."""
        assert self.trial is not None
        line, trial = self.line(), self.trial
        if line is None:
            error = f"the worker process ended with {_ending(self.process.wait())}"
            seconds = round(time.perf_counter() - self.since, 3)
            self.end()
            self._start()
            self.check_ready()
            return TrialFailure(trial.key, trial.to_mapping(), error, seconds)
        self.trial = None
        return outcome_from(line)

    def check_ready(self) -> None:
        """Waits until it has loaded its data.

        Raises
        ------
        InputError: it could not, and why.
        """
        line = self.line()
        if line is None or line["error"] is not None:
            why = line["error"] if line else f"it ended with {_ending(self.process.wait())}"
            raise InputError(f"a worker process could not start: {why}")

    def end(self) -> None:
        """Ends the process, whatever it is at."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def _send(self, content: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(content).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            # It died between two trials; reading from it will tell.
            pass


class Processes:
    """`count` worker processes on the data set and encoder of a study; a context manager."""

    def __init__(self, data: DataOptions, encoder: str, count: int) -> None:
        if count < 1:
            raise InputError(f"{count} workers were asked for", expected="at least 1")
        self._workers = [_Worker(data, encoder) for _ in range(count)]
        try:
            for worker in self._workers:
                worker.check_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends every worker."""
        for worker in self._workers:
            worker.end()

    @property
    def running(self) -> int:
        """Workers at a trial."""
        return sum(worker.trial is not None for worker in self._workers)

    @property
    def free(self) -> int:
        """Workers without one."""
        return len(self._workers) - self.running

    def submit(self, trial: Trial) -> None:
        """Gives the trial to an idle worker."""
        next(worker for worker in self._workers if worker.trial is None).begin(trial)

    def collect(self) -> Outcome:
        """Waits for the first worker that is through."""
        busy = [worker for worker in self._workers if worker.trial is not None]
        ready, _, _ = select.select(busy, [], [])
        first: _Worker = ready[0]
        return first.take()


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
