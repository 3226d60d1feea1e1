"""What the journal knows about one job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, TypeVar

from hybridqies.backends.jobs.provider import Counts, JobState, Work
from hybridqies.errors import InputError

Kind = TypeVar("Kind")

SHORT_KEY = 12
# Seconds since 1970 that still have a date everywhere.
_LATEST = 1e11


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
        """From the first event of a job; LookupError, TypeError or ValueError if that is no intent."""
        if event["event"] != "intent":
            raise ValueError(f"{event['event']!r} comes before its job's intent")
        work = _typed(event, "work", dict)
        circuits, angles = _typed(work, "circuits", list), _typed(work, "angles", list)
        if not circuits or not all(isinstance(row, list) for row in angles):
            raise ValueError("its work has no circuits, or no rows of angles")
        return cls(
            key=_typed(event, "key", str),
            backend=_typed(work, "backend", str),
            n_circuits=len(circuits) * len(angles),
            shots=_whole(work, "shots"),
            digests=tuple(str(each) for each in _typed(event, "digests", list)),
            stored_work=work,
            times={"intent": _time(event)},
        )

    def after(self, event: Mapping[str, Any]) -> JobRecord:
        """The record with one more event; LookupError, TypeError or ValueError if it cannot be read."""
        changes = _changes(self, event)
        # Counts are final, whatever else somebody may have been told.
        if self.counts is not None:
            return self
        times = {**self.times, event["event"]: _time(event)}
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
        """What was asked for.

        Raises
        ------
        InputError: what the journal holds of it is damaged: it cannot be read, or is another job's.
        """
        try:
            work = Work.from_mapping(dict(self.stored_work))
            if work.key() == self.key:
                return work
            reason = "it belongs to another key"
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"the work of job {self.short_key} in the journal is damaged ({reason})",
            expected="the work that was handed in under that key",
            todo="restore the file, or look the job up at its service",
        )


def read_counts(given: Any, n_circuits: int) -> tuple[Counts, ...]:
    """Outcomes of so many circuits; ValueError if they are anything else."""
    if not isinstance(given, list | tuple) or len(given) != n_circuits:
        raise ValueError(f"it does not hold the outcomes of {n_circuits} circuits")
    return tuple(_counts(each) for each in given)


def _counts(given: Any) -> Counts:
    if not isinstance(given, Mapping) or not given:
        raise ValueError("it holds a circuit without outcomes")
    for bits, count in given.items():
        is_outcome = isinstance(bits, str) and bits != "" and not bits.strip("01")
        if not is_outcome or isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
            raise ValueError(f"it says that {bits!r} was seen {count!r} times")
    if len({len(bits) for bits in given}) > 1 or not any(given.values()):
        raise ValueError("its outcomes are of different lengths, or were never seen")
    return {bits: int(count) for bits, count in given.items()}


def _typed(values: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind:
    value = values[name]
    if not isinstance(value, kind):
        raise TypeError(f"its {name} is {value!r:.60}")
    return value


def _whole(values: Mapping[str, Any], name: str) -> int:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise ValueError(f"its {name} is {value!r:.60}")
    return value


def _time(event: Mapping[str, Any]) -> float:
    value = event["time"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise ValueError(f"its time is {value!r:.60}")
    return float(value)


def _changes(record: JobRecord, event: Mapping[str, Any]) -> dict[str, Any]:
    """What an event changes in the record of its job."""
    match event["event"]:
        case "retry":
            return {"sendings": record.sendings + 1, "in_doubt": True, "reason": _typed(event, "reason", str)}
        case "submitted":
            job_id = _typed(event, "job_id", str)
            return {"job_id": job_id, "state": JobState.QUEUED, "in_doubt": False, "reason": ""}
        case "state":
            return {"state": JobState(event["state"]), "reason": _typed(event, "reason", str)}
        case "completed":
            counts = read_counts(event["counts"], record.n_circuits)
            return {"state": JobState.COMPLETED, "counts": counts, "reason": ""}
        case "failed" | "cancelled" as ended:
            return {"state": JobState(ended), "reason": _typed(event, "reason", str), "in_doubt": False}
        case "error":
            return {"reason": _typed(event, "reason", str), "in_doubt": _typed(event, "in_doubt", bool)}
        case "again":
            nothing_yet = {"job_id": None, "state": None, "in_doubt": False}
            return {"attempt": record.attempt + 1, "reason": "", **nothing_yet}
        case unknown:
            raise ValueError(f"{unknown!r:.60} is no event")
