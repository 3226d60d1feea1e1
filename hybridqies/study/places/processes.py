"""An executor of local worker processes, one group of trials and one thread each."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hybridqies.devices import split_device
from hybridqies.errors import InputError
from hybridqies.study.trials.kind import Source, trial_kind
from hybridqies.study.trials.outcome import TrialFailure

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What keeps a worker to one thread: set before its libraries are loaded."""


_VISIBLE = "CUDA_VISIBLE_DEVICES"
_STARTS = 3
"""Processes that are started for one that is killed before it is ready."""


class _Worker:
    """One process and the trials that it runs."""

    def __init__(self, source: Source, seed: int, *, tells: bool, environment: Mapping[str, str]) -> None:
        # All compile the same kernels at the same time, and one line about it is enough.
        self._kind = trial_kind(source.kind)
        self._about = {"kind": source.kind, "source": source.to_mapping(), "seed": seed, "tells": tells}
        self._environment = dict.fromkeys(THREADS, "1") | dict(environment)
        self._start()

    def _start(self) -> None:
        self.trials: Sequence[Any] = ()
        self.since = 0.0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hybridqies.study.places.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | self._environment,
            # An interrupt at the terminal is for the parent, which ends its workers.
            start_new_session=True,
        )
        self._send(self._about)

    def fileno(self) -> int:
        """What to wait on for its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def begin(self, trials: Sequence[Any]) -> None:
        """Sends it a group."""
        self.trials, self.since = trials, time.perf_counter()
        self._send([trial.to_mapping() for trial in trials])

    def line(self) -> Any:
        """Its next line; None when it died."""
        assert self.process.stdout is not None
        read = self.process.stdout.readline()
        return json.loads(read) if read.endswith(b"\n") else None

    def take(self) -> list[Any] | None:
        """What came of its group; None for a group whose worker died, which is replaced."""
        line, trials = self.line(), self.trials
        if line is not None:
            self.trials = ()
            return [self._kind.outcome(each) for each in line]
        error = f"the worker process ended with {_ending(self.process.wait())}"
        seconds = round(time.perf_counter() - self.since, 3)
        self._restart()
        self.wait_until_ready()
        if len(trials) > 1:
            return None
        return [TrialFailure(trial.key, trial.to_mapping(), error, seconds) for trial in trials]

    def wait_until_ready(self) -> None:
        """Waits until it has loaded its data; a process that is killed on the way there is replaced.

        Raises
        ------
        InputError: it could not load its data, and why; or process after process was killed.
        """
        for _ in range(_STARTS - 1):
            answer = self.line()
            if answer is not None:
                break
            self._restart()
        else:
            answer = self.line()
        if answer is None:
            raise InputError(
                f"{_STARTS} worker processes in a row could not start: "
                f"the last ended with {_ending(self.process.wait())}",
                expected="memory for each of them",
                todo="use fewer --workers",
            )
        if answer["error"] is not None:
            raise InputError(f"a worker process could not start: {answer['error']}")

    def _restart(self) -> None:
        self.end()
        self._start()

    def end(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            # What it was sent and never read goes down with it.
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _send(self, content: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(content).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            # It died between two trials; reading from it will tell.
            pass


class Processes:
    """`count` worker processes on what a study's trials read; a context manager.

    Rows are computed with `seed`, one of the study's, before a worker is ready.
    On "cuda" each has a GPU of its own.

    Raises
    ------
    InputError: no worker, more workers than GPUs, a GPU by number, or a worker that could not start.
    """

    def __init__(self, source: Source, count: int, seed: int) -> None:
        if count < 1:
            raise InputError(f"{count} workers were asked for", expected="at least 1")
        environments = _share_gpus(count) if _is_gpu(source.device) else [dict[str, str]()] * count
        self._again: list[Any] = []
        self._workers: list[_Worker] = []
        try:
            for at, environment in enumerate(environments):
                self._workers.append(_Worker(source, seed, tells=at == 0, environment=environment))
            for worker in self._workers:
                worker.wait_until_ready()
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
    def places(self) -> int:
        """Workers."""
        return len(self._workers)

    @property
    def running(self) -> int:
        """Trials that workers run, and those that will run again."""
        return sum(len(worker.trials) for worker in self._workers) + len(self._again)

    @property
    def free(self) -> int:
        """Workers without a trial, less those that will take one to run again."""
        return max(0, len(self._idle()) - len(self._again))

    def submit(self, trials: Sequence[Any]) -> None:
        """Gives the group to an idle worker."""
        self._idle()[0].begin(trials)

    def collect(self) -> list[Any]:
        """Waits for the first worker that has finished.

        If a worker dies, its group runs again trial by trial: one of them may have brought it down.
        """
        while True:
            for worker in self._idle()[: len(self._again)]:
                worker.begin([self._again.pop()])
            ready, _, _ = select.select([worker for worker in self._workers if worker.trials], [], [])
            first: _Worker = ready[0]
            group = first.trials
            outcomes = first.take()
            if outcomes is not None:
                return outcomes
            self._again += group

    def _idle(self) -> list[_Worker]:
        return [worker for worker in self._workers if not worker.trials]


def _is_gpu(device: str) -> bool:
    kind, number = split_device(device)
    if kind == "cuda" and number is not None:
        raise InputError(
            f"device {device!r} was given for several workers", expected="cuda, one GPU a worker"
        )
    return kind == "cuda"


def _share_gpus(count: int) -> list[dict[str, str]]:
    """What makes each of `count` processes see one of the GPUs that this process sees, each another one."""
    import torch

    there = torch.cuda.device_count()
    if count > there:
        raise InputError(
            f"{count} workers were asked for on {there} GPU{'s' * (there != 1)}",
            expected="at most one worker a GPU",
            todo="use fewer --workers",
        )
    visible = os.environ.get(_VISIBLE, "")
    names = visible.split(",") if visible else [str(number) for number in range(there)]
    return [{_VISIBLE: names[at].strip()} for at in range(count)]


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
