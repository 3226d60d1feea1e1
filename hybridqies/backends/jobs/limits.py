"""Hard caps on what a run may pay for."""

from __future__ import annotations

from dataclasses import dataclass

from hybridqies.errors import CapabilityError, InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """The most shots and jobs that may be newly paid for; None is no cap. Journalled results are free."""

    max_shots: int | None = None
    max_jobs: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("max_shots", self.max_shots), ("max_jobs", self.max_jobs)):
            if value is not None and value < 0:
                raise InputError(f"{name} was given {value}", expected="0 or more")

    def check(self, *, shots: int, jobs: int) -> None:
        """Refuses a run that would newly pay for so many shots and jobs in all.

        Raises
        ------
        CapabilityError: a cap would be passed.
        """
        for what, asked, allowed in (("shots", shots, self.max_shots), ("jobs", jobs, self.max_jobs)):
            if allowed is not None and asked > allowed:
                raise CapabilityError(
                    f"this run would pay for {asked} {what}",
                    expected=f"at most {allowed} (max_{what})",
                    todo=f"evaluate less, or raise --max-{what}",
                )
