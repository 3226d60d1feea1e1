"""The protocol of a remote service: its requests, and three kinds of failure."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridqies.backends.resources import Resources
from hybridqies.circuit import Circuit
from hybridqies.errors import HybridqiesError

Counts: TypeAlias = dict[str, int]
"""How often each outcome was seen; one letter a qubit, qubit 0 first."""


class JobError(HybridqiesError):
    """A job that ended without a result, or a service that refused it; it says why, without secrets."""


class TransientError(JobError):
    """The service did not take the request this time (too many requests, overload); asking again is safe."""


class UncertainError(JobError):
    """The answer was lost: the service may have accepted the job, and has to be asked before it is resent."""


class JobState(enum.Enum):
    """Where a job stands at its service."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's state, and the service's reason where it gave one."""

    state: JobState
    reason: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Work:
    """Circuits to be sampled: every one of `circuits` at every row of `angles`.

    `circuits` have no features and share their weights, of which a row of `angles` (N, W), in radians and
    float64, is one binding; they differ in the basis that their last gates turn to. Results come in the
    order of circuits, then rows: C * N of them.
    """

    backend: str
    circuits: tuple[Circuit, ...]
    angles: NDArray[np.float64]
    shots: int
    seed: int

    def __len__(self) -> int:
        """How many circuits are run."""
        return len(self.circuits) * len(self.angles)

    def split(self, most: int) -> list[Work]:
        """The same work in parts of at most `most` circuits, cut between rows."""
        rows = max(1, most // len(self.circuits))
        return [
            Work(self.backend, self.circuits, self.angles[at : at + rows], self.shots, self.seed)
            for at in range(0, len(self.angles), rows)
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Everything that decides the result, as JSON values; `from_mapping` gives it back."""
        return {
            "backend": self.backend,
            "circuits": [circuit.to_mapping() for circuit in self.circuits],
            "angles": self.angles.tolist(),
            "shots": self.shots,
            "seed": self.seed,
        }

    @classmethod
    def from_mapping(cls, stored: dict[str, Any]) -> Work:
        """The work that `to_mapping` wrote."""
        circuits = tuple(Circuit.from_mapping(each) for each in stored["circuits"])
        angles = np.array(stored["angles"], dtype=np.float64).reshape(-1, circuits[0].n_weights)
        return cls(stored["backend"], circuits, angles, int(stored["shots"]), int(stored["seed"]))

    def key(self) -> str:
        """The key of this work: 32 hex digits over everything that decides its result."""
        content = self.to_mapping()
        content["circuits"] = [circuit.digest() for circuit in self.circuits]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


class Provider(Protocol):
    """One service, reached through its own client. Requests raise the errors of this module alone.

    `submit` labels the job with `key` at the service (a tag, a name, metadata), so that `find` can tell
    after a lost answer whether the job exists. A plain JobError is permanent.
    """

    max_circuits: int

    def ready(self) -> None:
        """Refuses what would fail at the first request, such as a missing key, without making one."""

    def resources(self, circuit: Circuit) -> Resources:
        """What a measured circuit takes once it is compiled for the target."""

    def submit(self, key: str, work: Work) -> str:
        """Hands in one job and returns its id."""

    def find(self, key: str) -> str | None:
        """The id of the job that carries `key`, or None when the service has none."""

    def status(self, job_id: str) -> JobStatus:
        """Where the job stands."""

    def counts(self, job_id: str, work: Work) -> Sequence[Counts]:
        """The outcomes of a completed job, in the order of `Work`."""

    def cancel(self, job_id: str) -> None:
        """Asks the service to stop the job; one that is final stays as it is."""


def cancel_unless_final(cancel: Callable[[], object], status: Callable[[], JobStatus]) -> None:
    """Calls `cancel`; a refusal is no error where the job turns out to be final.

    Raises
    ------
    JobError: the service refused, and the job is not final, or the request got no answer.
    """
    try:
        cancel()
    except TransientError:
        raise
    except JobError:
        if not status().state.is_final:
            raise
