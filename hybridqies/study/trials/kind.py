"""What a trial trains: the table of kinds of trials, and what places and journals ask of one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from hybridqies.errors import UnknownNameError
from hybridqies.study.trials.journal import ClaimJournal
from hybridqies.study.trials.outcome import Keyed, TrialFailure

OnProgress = Callable[[int, int], None]


class Source(Protocol):
    """What every trial of a study reads, as a configuration; `kind` is a row of TRIAL_KINDS."""

    kind: ClassVar[str]

    @property
    def device(self) -> str:
        """Where trials run."""

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""

    def on(self, device: str) -> Source:
        """The same on another device."""

    def load(self) -> Context:
        """Reads and checks the data.

        Raises
        ------
        DataError: it cannot be read.
        """


class Context(Protocol):
    """What a source loads: the data that trials of a process share."""

    kind: ClassVar[str]

    def compute_rows(self, seed: int, on_progress: OnProgress | None = None) -> None:
        """Computes now what trials would wait for."""

    def check(self, trial: Any) -> None:
        """Refuses a trial that was planned on other data.

        Raises
        ------
        InputError: naming what is another.
        """

    def describe(self, seeds: Sequence[int]) -> dict[str, Any]:
        """What the journal says the study is about: fingerprints, as JSON values."""


@dataclass(frozen=True, slots=True)
class TrialKind:
    """A kind of trial; one row of TRIAL_KINDS.

    `source`, `trial` and `record` read JSON values. `attempt` runs trials that are trained together and gives
    the outcome of each; errors are failures. `cohorts` names trials that may be trained together alike.
    `version` names the protocol: another one may have other numbers. `curve` gives what a record has measured
    after each part of its training, where it has that.
    """

    source: Callable[[Any], Source]
    trial: Callable[[Any], Keyed]
    record: Callable[[Mapping[str, Any]], Keyed]
    journal: Callable[[Path], ClaimJournal[Any]]
    attempt: Callable[[Sequence[Any], Any], Sequence[Keyed]]
    cohorts: Callable[[Any], Callable[[Any], str]]
    version: int
    curve: Callable[[Any], Sequence[Mapping[str, float]]] = lambda _: ()

    def outcome(self, values: Mapping[str, Any]) -> Keyed:
        """The record or failure that `outcome_to_mapping` described."""
        if values["kind"] == TrialFailure.__name__:
            return TrialFailure.from_mapping(values["outcome"])
        return self.record(values["outcome"])


TRIAL_KINDS: dict[str, str] = {
    "head": "hybridqies.study.protocol:HEAD_TRIALS",
    "decoder": "hybridqies.study.decoders.protocol:DECODER_TRIALS",
}


def trial_kind(name: str) -> TrialKind:
    """The row of that name.

    Raises
    ------
    UnknownNameError: there is none.
    """
    if name not in TRIAL_KINDS:
        raise UnknownNameError("kind of trial", name, TRIAL_KINDS)
    module, _, attribute = TRIAL_KINDS[name].partition(":")
    found: TrialKind = getattr(importlib.import_module(module), attribute)
    return found
