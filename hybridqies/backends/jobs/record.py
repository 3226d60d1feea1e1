"""What the journal knows about one job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybridqies.backends.jobs.provider import Counts, JobState, Work

SHORT_KEY = 12


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job, as its events tell; `times` holds when each kind of event was last seen, in epoch seconds.

    `state` is None until the service is known to have the job. `in_doubt` means that it was sent and no
    answer is on record. `attempt` rises when somebody agreed to pay once more, `sendings` with every request.
    """

    key: str
    backend: str
    n_circuits: int
    shots: int
    digests: tuple[str, ...]
    stored_work: Mapping[str, Any] = field(repr=False)
    times: Mapping[str, float]
    attempt: int = 1
    sendings: int = 1
    in_doubt: bool = True
    job_id: str | None = None
    state: JobState | None = None
    reason: str = ""
    counts: tuple[Counts, ...] | None = field(default=None, repr=False)

    @classmethod
    def intended(cls, event: Mapping[str, Any]) -> JobRecord:
        """From the first event of a job; KeyError, TypeError or ValueError if that is no intent."""
        if event["event"] != "intent":
            raise ValueError(event["event"])
        work = event["work"]
        return cls(
            key=event["key"],
            backend=work["backend"],
            n_circuits=len(work["circuits"]) * len(work["angles"]),
            shots=work["shots"],
            digests=tuple(event["digests"]),
            stored_work=work,
            times={"intent": float(event["time"])},
        )

    def after(self, event: Mapping[str, Any]) -> JobRecord:
        """The record with one more event; KeyError, TypeError or ValueError if it cannot be read."""
        changes = _changes(self, event)
        # Counts are final, whatever else somebody may have been told.
        if self.counts is not None:
            return self
        times = {**self.times, event["event"]: float(event["time"])}
        return dataclasses.replace(self, times=times, **changes)

    @property
    def label(self) -> str:
        """What names the job at the service; another for each attempt, so that none is taken for the last."""
        return self.key if self.attempt == 1 else f"{self.key}-{self.attempt}"

    @property
    def is_final(self) -> bool:
        """Whether the job is completed, failed or cancelled."""
        return self.state is not None and self.state.is_final

    @property
    def is_waiting(self) -> bool:
        """Whether the service has the job and its result is still to come."""
        return self.job_id is not None and not self.is_final

    @property
    def standing(self) -> str:
        """One word for where the job stands: its state, or "intended" while the service may not have it."""
        return "intended" if self.state is None else self.state.value

    @property
    def has_ended_badly(self) -> bool:
        """Whether it failed or was cancelled."""
        return self.is_final and self.counts is None

    @property
    def short_key(self) -> str:
        """As much of the key as people have to type."""
        return self.key[:SHORT_KEY]

    def work(self) -> Work:
        """What was asked for."""
        return Work.from_mapping(dict(self.stored_work))


def _changes(record: JobRecord, event: Mapping[str, Any]) -> dict[str, Any]:
    """What an event changes in the record of its job."""
    match event["event"]:
        case "retry":
            return {"sendings": record.sendings + 1, "in_doubt": True, "reason": event["reason"]}
        case "submitted":
            job_id = str(event["job_id"])
            return {"job_id": job_id, "state": JobState.QUEUED, "in_doubt": False, "reason": ""}
        case "state":
            return {"state": JobState(event["state"]), "reason": event["reason"]}
        case "completed":
            counts = tuple({str(k): int(v) for k, v in each.items()} for each in event["counts"])
            return {"state": JobState.COMPLETED, "counts": counts, "reason": ""}
        case "failed" | "cancelled" as ended:
            return {"state": JobState(ended), "reason": event["reason"], "in_doubt": False}
        case "error":
            return {"reason": event["reason"], "in_doubt": bool(event["in_doubt"])}
        case "again":
            nothing_yet = {"job_id": None, "state": None, "in_doubt": False}
            return {"attempt": record.attempt + 1, "reason": "", **nothing_yet}
        case unknown:
            raise ValueError(unknown)
