"""A service in memory or in a file, which loses answers and fails on command; and virtual time."""

from __future__ import annotations

import contextlib
import enum
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridqies import files
from hybridqies.backends.jobs import (
    Counts,
    JobError,
    JobState,
    JobStatus,
    TransientError,
    UncertainError,
    Work,
)
from hybridqies.backends.resources import Resources
from hybridqies.circuit import Circuit, Weight, gate

POLLS = 3
"""How often the state of a job is asked before it is final."""


class Fault(enum.Enum):
    """What can go wrong with one request."""

    BUSY = "not taken, safe to ask again"
    DENIED = "refused for good"
    UNSENT = "no answer, and the service never got it"
    LOST = "no answer, but the service did as asked"
    LATE = "no answer, and the service does as asked some seconds later"


class Kill(BaseException):
    """The process dies here."""


class VirtualTime:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Service:
    """Jobs by id, in memory or in the file `path`, which processes may share; it never forgets one."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._jobs: dict[str, Any] = {}

    @contextlib.contextmanager
    def jobs(self) -> Iterator[dict[str, Any]]:
        if self.path is None:
            yield self._jobs
            return
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            jobs = json.loads(self.path.read_text()) if self.path.exists() else {}
            yield jobs
            files.write_json(self.path, jobs)

    def labels(self) -> list[str]:
        """The label of every job that was ever accepted."""
        with self.jobs() as jobs:
            return [job["label"] for job in jobs.values()]


class FakeProvider:
    """Reaches `service`; `fault` is asked before each request with the name of its verb.

    A job whose row of angles begins with a number below -100 fails, and one below -200 is cancelled.
    """

    def __init__(
        self,
        service: Service,
        fault: Callable[[str], Fault | None] = lambda verb: None,
        *,
        clock: Callable[[], float] = lambda: 0.0,
        max_circuits: int = 4,
        at: Callable[[str], None] = lambda where: None,
    ) -> None:
        self.service = service
        self.fault = fault
        self.clock = clock
        self.max_circuits = max_circuits
        self.at = at
        self.asked: list[str] = []

    def ready(self) -> None:
        """Nothing is missing here."""

    def resources(self, circuit: Circuit) -> Resources:
        """The circuit as it is: nothing is compiled here."""
        return Resources.of(circuit)

    def submit(self, key: str, work: Work) -> str:
        with self._request("submit") as late, self.service.jobs() as jobs:
            job_id = f"job-{len(jobs)}"
            first = float(work.angles[0, 0])
            end = (
                JobState.CANCELLED
                if first < -200
                else JobState.FAILED
                if first < -100
                else JobState.COMPLETED
            )
            jobs[job_id] = {"label": key, "from": self.clock() + late, "polls": 0, "end": end.value}
        return job_id

    def find(self, key: str) -> str | None:
        with self._request("find"), self.service.jobs() as jobs:
            there = (id_ for id_, job in jobs.items() if job["label"] == key and job["from"] <= self.clock())
            return next(there, None)

    def status(self, job_id: str) -> JobStatus:
        with self._request("status"), self.service.jobs() as jobs:
            job = jobs[job_id]
            job["polls"] += 1
            if job["polls"] >= POLLS:
                state = JobState(job["end"])
                return JobStatus(state, "the ion escaped" if state is JobState.FAILED else "")
            return JobStatus(JobState.QUEUED if job["polls"] < POLLS - 1 else JobState.RUNNING)

    def counts(self, job_id: str, work: Work) -> Sequence[Counts]:
        with self._request("counts"), self.service.jobs() as jobs:
            assert JobState(jobs[job_id]["end"]) is JobState.COMPLETED
        return outcomes(work)

    def cancel(self, job_id: str) -> None:
        with self._request("cancel"), self.service.jobs() as jobs:
            if jobs[job_id]["polls"] < POLLS:
                jobs[job_id] |= {"end": JobState.CANCELLED.value, "polls": POLLS}

    @contextlib.contextmanager
    def _request(self, verb: str) -> Iterator[float]:
        self.asked.append(verb)
        fault = self.fault(verb)
        self.at(f"before {verb}")
        match fault:
            case Fault.BUSY:
                raise TransientError("429: too many requests")
            case Fault.DENIED:
                raise JobError("401: the token is not known")
            case Fault.UNSENT:
                raise UncertainError("the connection was dropped")
        yield 5.0 if fault is Fault.LATE else 0.0
        self.at(f"after {verb}")
        if fault in (Fault.LOST, Fault.LATE):
            raise UncertainError("the connection was dropped")


def outcomes(work: Work) -> list[Counts]:
    """What the service measures: decided by circuit, row and seed alone."""
    return [_outcome(work, circuit, row) for circuit in work.circuits for row in work.angles]


def _outcome(work: Work, circuit: Circuit, row: np.ndarray) -> Counts:
    content = f"{circuit.digest()} {row.tolist()} {work.seed}".encode()
    ones = int.from_bytes(hashlib.sha256(content).digest()[:4]) % (work.shots - 1) + 1
    return {"00": work.shots - ones, "11": ones}


def some_work(rows: int = 5, n_circuits: int = 2, *, backend: str = "fake:qpu", seed: int = 7) -> Work:
    """Work of `n_circuits` circuits of two qubits and two weights, at `rows` rows of angles."""
    gates = [gate("RY", 0, Weight(0)), gate("RX", 1, Weight(1)), gate("CNOT", (0, 1))]
    circuits = tuple(
        Circuit.of(2, [*gates, *[gate("H", 0)] * basis], name=f"basis {basis}") for basis in range(n_circuits)
    )
    angles = np.linspace(-1.0, 2.0, 2 * rows).reshape(rows, 2)
    return Work(backend, circuits, angles, shots=100, seed=seed)
