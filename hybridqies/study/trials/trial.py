"""A trial: one arm on one seed, and the record of what came of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hybridqies.options import from_mapping, to_mapping
from hybridqies.records import lacking
from hybridqies.study.trials.outcome import TrialFailure, check_kinds
from hybridqies.tasks import DataOptions

TRAINING = "training."
"""What stands before the options of a training among a trial's settings."""

PROTOCOL = 2
"""Raised with every change of the protocol that may change a number."""

_BIN: Mapping[str, type] = {"n": int, "confidence": float, "accuracy": float}


@dataclass(frozen=True)
class Trial:
    """Everything that decides a trial's numbers, and nothing else; `key` is the digest of it.

    `settings` are fixed options of the head and its training (`training.`), `space` what the `budget` is
    spent on, in JSON values. `frozen` are parts of the head that stay as they are drawn. With `tested` of
    False the test set stays sealed. `circuits` is the digest of the circuits that the head starts with, so
    that an edited recipe makes another trial.
    """

    arm: str
    head: str
    seed: int
    data: DataOptions
    data_fingerprint: str
    encoder: str
    encoder_fingerprint: str
    scaling: str
    backend: str
    task: str
    n_qubits: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Any] = field(default_factory=dict)
    budget: int = 1
    frozen: tuple[str, ...] = ()
    tested: bool = True
    circuits: str = ""
    protocol: int = PROTOCOL

    @cached_property
    def key(self) -> str:
        """24 hex digits of a SHA-256 over all fields."""
        content = json.dumps(self.to_mapping(), sort_keys=True, allow_nan=False)
        return hashlib.sha256(content.encode()).hexdigest()[:24]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Trial:
        """What `to_mapping` gave."""
        return from_mapping(cls, values, what="trial field")


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """What a trial measured; JSON values throughout.

    `chosen` are the options that validation chose, beside the trial's settings; `candidates` all that were
    tried. `predictions` and `truth` are class indices of the test rows, in one order for every arm; they
    and `test` are empty where the test set stayed sealed. `reliability` are the bins of confidence on the
    test rows (`hybridqies.training.reliability`), and `n_inputs` is the width of what the head reads;
    records of earlier versions have neither.
    """

    key: str
    trial: Mapping[str, Any]
    chosen: Mapping[str, Any]
    candidates: tuple[Mapping[str, Any], ...]
    validation: Mapping[str, float]
    test: Mapping[str, float]
    predictions: tuple[int, ...]
    truth: tuple[int, ...]
    n_parameters: int
    converged: bool
    convergence: str
    seconds: float
    reliability: tuple[Mapping[str, float], ...] = ()
    n_inputs: int = 0

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrialRecord:
        """What `to_mapping` gave; KeyError, TypeError or ValueError for anything else."""
        plain = {"reliability": (), **values}
        for name in ("candidates", "predictions", "truth", "reliability"):
            if not isinstance(plain[name], list | tuple):
                raise TypeError(f"{name} is no list")
            plain[name] = tuple(plain[name])
        record = cls(**plain)
        check_kinds(record, str=("key", "convergence"), dict=("trial", "chosen", "validation", "test"))
        check_kinds(record, int=("n_parameters", "n_inputs"), bool=("converged",), float=("seconds",))
        for measured in (record.validation, record.test):
            if not all(isinstance(value, int | float) for value in measured.values()):
                raise TypeError("a metric is no number")
        if not all(isinstance(each, int) for each in (*record.predictions, *record.truth)):
            raise TypeError("a class index is no whole number")
        for each in record.reliability:
            if lacking(each, _BIN):
                raise TypeError("a bin of confidence is damaged")
        if len(record.predictions) != len(record.truth):
            raise ValueError("predictions and truth differ in number")
        return record

    def same_numbers(self, other: TrialRecord) -> bool:
        """Whether everything but the time is equal."""
        return dataclasses.replace(self, seconds=0.0) == dataclasses.replace(other, seconds=0.0)


Outcome = TrialRecord | TrialFailure
