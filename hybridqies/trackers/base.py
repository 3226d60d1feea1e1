"""What a tracker is."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path

Scalar = str | int | float | bool


class Tracker(abc.ABC):
    """A place that shows how trainings go. It has one training at a time, of one arm of a run.

    It is made with what followed the colon of `--log-to NAME:TARGET`, or None, and the folder of the run.
    What `connect` raises refuses the run. What a later call raises drops the tracker, and the run goes on.

    Raises
    ------
    MissingExtraError: when it is made, and its package is not installed.
    """

    @abc.abstractmethod
    def __init__(self, target: str | None, run: Path) -> None:
        """Imports what is needed."""

    def connect(self) -> None:  # noqa: B027 -- most have nothing to do.
        """Reaches the place before anything is computed."""

    @abc.abstractmethod
    def begin(self, name: str, config: Mapping[str, Scalar], known: str | None) -> str:
        """Begins a training, or goes on with that which an earlier call named `known`; returns its name.

        `name` is for people, such as reviews/two-module. `config` has dotted keys.
        """

    @abc.abstractmethod
    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Shows what epoch `step` (from 1) measured."""

    @abc.abstractmethod
    def end(self, result: Mapping[str, float] | None) -> None:
        """Ends the training with what its best epoch measured; None where it was broken off."""
