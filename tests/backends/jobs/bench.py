"""One service and one journal, and the trouble that tests make for runners over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.jobs.fake_provider import (
    FakeProvider,
    Fault,
    Service,
    VirtualTime,
    outcomes,
)

from hybridqies.backends.jobs import JobRunner, Journal, Limits, Retry, Work

NO_LIMITS = Limits()


class Bench:
    """One service and one journal, over which any number of runners come and go."""

    def __init__(self, folder: Path) -> None:
        self.time = VirtualTime()
        self.service = Service()
        self.path = folder / "jobs.jsonl"
        self.progress: list[tuple[int, int]] = []

    def runner(
        self,
        fault: Callable[[str], Fault | None] = lambda verb: None,
        *,
        limits: Limits = NO_LIMITS,
        retry: Retry | None = None,
        at: Callable[[str], None] = lambda where: None,
    ) -> JobRunner:
        provider = FakeProvider(self.service, fault, clock=self.time, at=at)
        self.provider = provider
        return JobRunner(
            provider,
            Journal(self.path),
            limits,
            retry or Retry(),
            lambda done, total: self.progress.append((done, total)),
            clock=self.time,
            sleep=self.time.sleep,
        )

    def records(self) -> dict[str, Any]:
        return dict(Journal(self.path).records())

    def check(self, work: Work, counts: object) -> None:
        """All results, and every job accepted exactly once."""
        assert counts == outcomes(work)
        assert sorted(self.service.labels()) == sorted(part.key() for part in work.split(4))


def script(verb: str, *faults: Fault | None) -> Callable[[str], Fault | None]:
    """These faults at the first requests of one verb, then none."""
    left = iter(faults)
    return lambda asked: next(left, None) if asked == verb else None


def ended(work: Work, row: int, how: float) -> Work:
    """The work with one row whose job ends badly."""
    angles = work.angles.copy()
    angles[row, 0] = how
    return Work(work.backend, work.circuits, angles, work.shots, work.seed)


FAILS, IS_CANCELLED = -150.0, -250.0
