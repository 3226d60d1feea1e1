"""Hard caps on the shots and jobs that a run may pay for."""

from __future__ import annotations

from dataclasses import dataclass

from hybridqies.errors import CapabilityError, InputError
from hybridqies.options import parse


def check_together(circuits: int, most: int, where: str) -> None:
    """Refuses a row of a batch whose circuits, which belong together, are too many for a job of `where`.

    Raises
    ------
    CapabilityError: more than `most`.
    """
    if circuits > most:
        raise CapabilityError(
            f"{circuits} circuits belong together in one job of {where}",
            expected=f"at most {most}",
            todo="read fewer observables that do not commute",
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The most shots and jobs that may be newly paid for; None is no cap. Journalled results are free."""

    max_shots: int | None = None
    max_jobs: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("max_shots", self.max_shots), ("max_jobs", self.max_jobs)):
            if value is None:
                continue
            # Compared with NaN, any number would be within the cap.
            whole = parse(value, int, f"cap {name}")
            object.__setattr__(self, name, whole)
            if whole < 0:
                raise InputError(f"{name} was given {whole}", expected="0 or more")

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
