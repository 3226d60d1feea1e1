"""The sealed test set: measured once, seen by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hybridqies.errors import InputError


class SealError(InputError):
    """A test set was to be read a second time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the one look at a test set gives: metrics and, with classes, each predicted and true one.

    `reliability` are the bins of confidence, with classes.
    """

    metrics: Mapping[str, float]
    predictions: tuple[int, ...] = ()
    truth: tuple[int, ...] = ()
    reliability: tuple[Mapping[str, float], ...] = ()


class SealedTest:
    """The test part that one seed draws, for one arm. It leaves this through `measure` alone.

    Code that chooses among options holds this object and can get nothing out of it without ending the trial.
    """

    def __init__(self, test: Any) -> None:
        self.__test = test

    def measure(self, read: Callable[[Any], Reading]) -> Reading:
        """Breaks the seal: `read` takes the test part to what is measured on it.

        Raises
        ------
        SealError: it was broken before.
        """
        test, self.__test = self.__test, None
        if test is None:
            raise SealError(
                "the test set of this trial was asked for a second time",
                expected="one reading per seed and arm",
                todo="choose on validation",
            )
        return read(test)
