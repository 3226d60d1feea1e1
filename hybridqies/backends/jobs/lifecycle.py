"""Runs work at a remote service: every job is submitted once, waited for, and paid for once."""

from __future__ import annotations

import functools
import random
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from hybridqies.backends.jobs.journal import Journal
from hybridqies.backends.jobs.limits import Limits, check_together
from hybridqies.backends.jobs.provider import (
    Counts,
    JobError,
    JobState,
    Provider,
    TransientError,
    UncertainError,
    Work,
)
from hybridqies.backends.jobs.record import SHORT_KEY, JobRecord, read_counts
from hybridqies.backends.jobs.retry import Retry
from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.errors import InputError

T = TypeVar("T")
Progress: TypeAlias = Callable[[int, int], None]
"""Called with the circuits whose counts are here and all of them."""

_Absent: TypeAlias = Callable[[JobRecord | None], float | None]

_SLOWER = 1.5


class JobRunner:
    """Runs work on `provider` and keeps `journal`, so that a job is neither lost nor paid twice.

    Killed at any moment, a runner over the same journal goes on where the last one stopped; several may
    share a journal. `limits` hold for all that one runner pays for. `clock` and `sleep` are in seconds.

    Raises
    ------
    JobError: from every method, when the service refuses, fails a job, or cannot be reached for too long.
    """

    def __init__(
        self,
        provider: Provider,
        journal: Journal,
        limits: Limits,
        retry: Retry,
        on_progress: Progress | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider = provider
        self.journal = journal
        self.limits = limits
        self.retry = retry
        self._on_progress = on_progress
        self._clock = clock
        self._sleep = sleep
        self._random = random.Random(retry.seed)
        # By label: the shots of what this runner has handed in, and when it first met each doubtful sending.
        self._paid: dict[str, int] = {}
        self._met: dict[tuple[str, int], float] = {}

    def adopt(
        self, journal: Journal, limits: Limits, retry: Retry, on_progress: Progress | None = None
    ) -> None:
        """Continues with other settings; what has been paid for stays counted."""
        self.journal, self.limits, self.retry, self._on_progress = journal, limits, retry, on_progress

    def run(self, work: Work) -> list[Counts]:
        """The outcomes of `work`, in its order; what the journal has is not asked for again.

        Raises
        ------
        CapabilityError: a cap would be passed, or one row has more circuits than a job may; nothing was sent.
        """
        most = self.provider.max_circuits
        check_together(len(work.circuits), most, work.backend)
        cut = [(part.key(), part) for part in work.split(most)]
        self._finish(dict(cut))
        records = self.journal.records()
        counts = [(len(part.angles), records[key].counts or ()) for key, part in cut]
        # Every part has all circuits on some of the rows; together they go by circuit first.
        return [
            dict(each)
            for circuit in range(len(work.circuits))
            for rows, of_part in counts
            for each in of_part[circuit * rows : (circuit + 1) * rows]
        ]

    def resume(self, keys: Iterable[str]) -> None:
        """Waits for these jobs of the journal and keeps their counts; nothing is handed in."""
        records = self.journal.records()
        parts = {key: records[key].work() for key in keys}
        self._collect(parts, submit=False)

    def again(self, key: str) -> None:
        """Pays once more for a job that failed, was cancelled or was never accepted, and waits for it.

        Raises
        ------
        InputError: the job is completed, queued or running.
        """
        with self.journal.locked():
            record = self.journal.records()[key]
            if record.is_waiting or record.state is JobState.COMPLETED:
                raise _unsuitable(record, "one that failed, was cancelled or was never accepted")
            if record.is_final:
                self.journal.append("again", key)
        self._finish({key: record.work()})

    def cancel(self, key: str) -> JobRecord:
        """Asks the service to stop a job; what it says then is in the record. Counts are kept.

        Raises
        ------
        InputError: the job is final already.
        """
        record = self.journal.records()[key]
        if record.is_final:
            raise _unsuitable(record, "one that is queued or running")
        reason = "before the service had accepted it"
        self._settle(key, lambda _: self.journal.append("cancelled", key, reason=reason))
        record = self.journal.records()[key]
        if record.is_waiting:
            job_id = str(record.job_id)
            self._persist(key, lambda: self.provider.cancel(job_id))
            self._poll(key, record.work())
        return self.journal.records()[key]

    def _finish(self, parts: Mapping[str, Work]) -> None:
        records = self.journal.records()
        # One failed job makes the whole work fail; new jobs would be paid for in vain.
        hopeless = any(key in records and records[key].has_ended_badly for key in parts)
        if not hopeless:
            self._check_limits(parts)
        self._collect(parts, submit=not hopeless)

    def _collect(self, parts: Mapping[str, Work], *, submit: bool) -> None:
        self._report(parts)
        for key, part in parts.items():
            self._settle(key, functools.partial(self._submit, key, part) if submit else _leave)
        self._wait(parts)
        self._check_complete(parts)

    def _check_limits(self, parts: Mapping[str, Work]) -> None:
        """Refuses work that would pass a cap; what the service turns out to have is paid already."""
        paid = dict(self._paid)
        for key, part in parts.items():
            record = self.journal.records().get(key)
            if record is not None and record.in_doubt:
                record = self._persist(key, functools.partial(self._located, key))
            if record is None or record.job_id is None:
                paid[key if record is None else record.label] = len(part) * part.shots
        self.limits.check(shots=sum(paid.values()), jobs=len(paid))

    def _settle(self, key: str, absent: _Absent) -> None:
        """Finds out whether the service has the job; calls `absent` if it was never accepted."""
        before = self._sendings(key)
        while (pause := self._persist(key, lambda: self._settle_once(key, absent))) is not None:
            self._sleep(pause)
            sent = self._sendings(key) - before
            if sent >= self.retry.tries and self._persist(key, lambda: self._located(key)).in_doubt:
                raise self._stopped(key, f"the service took none of {sent} requests that it left unanswered")

    def _sendings(self, key: str) -> int:
        record = self.journal.records().get(key)
        return 0 if record is None else record.sendings

    def _settle_once(self, key: str, absent: _Absent) -> float | None:
        """Seconds after which to look again, or None when there is nothing more to do.

        All under one lock: of two processes with the same work, the second finds what the first has done.
        """
        with self.journal.locked():
            record = self.journal.records().get(key)
            if record is not None and record.in_doubt:
                record = self._located(key)
            if record is not None and (record.job_id is not None or record.is_final):
                return None
            if record is not None and record.in_doubt and (pause := self._unsettled(record)) > 0:
                return pause
            return absent(record)

    def _located(self, key: str) -> JobRecord:
        """The record of a job in doubt, after the service was asked whether it has the job."""
        with self.journal.locked():
            record = self.journal.records()[key]
            if record.in_doubt:
                job_id = self.provider.find(record.label)
                if job_id is not None:
                    self.journal.append("submitted", key, job_id=job_id)
            return self.journal.records()[key]

    def _unsettled(self, record: JobRecord) -> float:
        """Seconds in which the service may still accept what was sent.

        They count from when this runner first saw the sending without an answer: its sender may have been
        killed just before, however long ago it began.
        """
        met = self._met.setdefault((record.label, record.sendings), self._clock())
        return met + self.retry.settle_seconds - self._clock()

    def _submit(self, key: str, part: Work, record: JobRecord | None) -> float | None:
        if record is None:
            digests = [circuit.digest() for circuit in part.circuits]
            self.journal.append("intent", key, digests=digests, work=part.to_mapping())
        else:
            self.journal.append("retry", key, reason=record.reason or "the service does not have it")
        sent = self.journal.records()[key]
        self._paid[sent.label] = len(part) * part.shots
        try:
            job_id = self.provider.submit(sent.label, part)
        except UncertainError as error:
            self.journal.append("error", key, reason=str(error), in_doubt=True)
            self._met[sent.label, sent.sendings] = self._clock()
            return self.retry.settle_seconds
        except JobError as error:
            del self._paid[sent.label]
            self.journal.append("error", key, reason=str(error), in_doubt=False)
            raise
        self.journal.append("submitted", key, job_id=job_id)
        return None

    def _wait(self, parts: Mapping[str, Work]) -> None:
        """Polls until every job that the service has is final, the less often the longer nothing changes."""
        pause = self.retry.poll_seconds
        while True:
            waiting = self._waiting(parts)
            for key in waiting:
                self._poll(key, parts[key])
            self._report(parts)
            left = self._waiting(parts)
            if not left:
                return
            if left != waiting:
                pause = self.retry.poll_seconds
            self._sleep(pause)
            pause = min(pause * _SLOWER, self.retry.longest_poll_seconds)

    def _waiting(self, parts: Mapping[str, Work]) -> list[str]:
        records = self.journal.records()
        return [key for key in parts if key in records and records[key].is_waiting]

    def _poll(self, key: str, part: Work) -> None:
        """Asks once where a job stands, and keeps what is new."""
        record = self.journal.records()[key]
        if not record.is_waiting:
            return
        job_id = str(record.job_id)
        status = self._persist(key, lambda: self.provider.status(job_id))
        if status.state is JobState.COMPLETED:
            counts = self._persist(key, lambda: self.provider.counts(job_id, part))
            self._note(record, "completed", counts=self._check_counts(key, part, counts))
        elif status.state.is_final:
            self._note(record, status.state.value, reason=status.reason or "the service gave no reason")
        elif status.state is not record.state:
            self._note(record, "state", state=status.state.value, reason=status.reason)

    def _note(self, polled: JobRecord, event: str, **content: object) -> None:
        """Journals what the service said, unless another process was first."""
        with self.journal.locked():
            record = self.journal.records()[polled.key]
            if record.is_waiting and record.job_id == polled.job_id:
                self.journal.append(event, polled.key, **content)

    def _check_counts(self, key: str, part: Work, counts: Sequence[Counts]) -> list[Counts]:
        if len(counts) != len(part) or not all(counts):
            filled = sum(map(bool, counts))
            raise self._stopped(key, f"the service gave outcomes of {filled} circuits out of {len(part)}")
        try:
            return list(read_counts(counts, len(part)))
        except ValueError as error:
            raise self._stopped(key, f"the service's answer cannot be read: {error}") from error

    def _persist(self, key: str, ask: Callable[[], T]) -> T:
        """What `ask` gives, asked again with growing pauses while the service is too busy to answer."""
        until = self._clock() + self.retry.total_seconds
        tried = 0
        while True:
            tried += 1
            try:
                return ask()
            except (TransientError, UncertainError) as error:
                pause = self.retry.pause(tried, self._random)
                if tried >= self.retry.tries or self._clock() + pause > until:
                    raise self._stopped(key, f"{error} (asked {tried} times)") from error
            except JobError as error:
                raise self._stopped(key, str(error)) from error
            self._sleep(pause)

    def _stopped(self, key: str, reason: str) -> JobError:
        """The error of a request that did not succeed; the job itself may be as well as ever."""
        record = self.journal.records().get(key)
        if record is not None and record.reason != scrub(reason):
            self.journal.append("error", key, reason=reason, in_doubt=record.in_doubt)
        return JobError(
            f"job {key[:SHORT_KEY]}: {scrub(reason)}; nothing is lost: run the same again, "
            f"or fetch what is there with: {self._command('resume')}"
        )

    def _check_complete(self, parts: Mapping[str, Work]) -> None:
        records = self.journal.records()
        missing = [key for key in parts if key not in records or records[key].counts is None]
        if not missing:
            return
        ended = [records[key] for key in missing if key in records and records[key].has_ended_badly]
        if ended:
            key, todo = ended[0].key, "to pay for it once more"
            what = f"{ended[0].standing} at {ended[0].backend}: {ended[0].reason}"
        else:
            key, todo = missing[0], "to send it"
            what = "was never accepted by the service"
        kept = f"the results of {len(parts) - len(missing)} jobs out of {len(parts)} are kept"
        again = self._command(f"resume --again {key[:SHORT_KEY]}")
        raise JobError(f"job {key[:SHORT_KEY]} {what}; {kept}; {todo}: {again}")

    def _command(self, action: str) -> str:
        return f"hybridqies jobs {action} --journal {shlex.quote(str(self.journal.path))}"

    def _report(self, parts: Mapping[str, Work]) -> None:
        if self._on_progress:
            records = self.journal.records()
            done = [part for key, part in parts.items() if key in records and records[key].counts is not None]
            self._on_progress(sum(map(len, done)), sum(map(len, parts.values())))


def _leave(_: JobRecord | None) -> None:
    """`resume` does nothing about a job that was never accepted."""


def _unsuitable(record: JobRecord, expected: str) -> InputError:
    return InputError(
        f"job {record.short_key} is {record.standing}", expected=expected, todo="see: hybridqies jobs list"
    )
