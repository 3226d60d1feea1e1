"""A trial of a language model: one arm and size on one text and seed, and the record of what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from hybridqies.language_model import LanguageModelConfig
from hybridqies.options import from_mapping, to_mapping
from hybridqies.study.trials.journal import FILE_NAME, ClaimJournal
from hybridqies.study.trials.outcome import check_kinds

PROTOCOL = 1
"""Raised with every change of the protocol that may change a number."""
PROTOCOL_OF_BYTE_PAIRS = 2
"""The same for byte pairs. Since 2 they are learnt from the training part alone."""


@dataclass(frozen=True)
class DecoderTrial:
    """Everything that decides a trial's numbers, and nothing else; `key` is the digest of it.

    Each of `rates` is tried for `search_tokens` tokens, and the model is trained with the one of the lowest
    validation loss. A single rate is not tried first.
    """

    arm: str
    text: str
    text_fingerprint: str
    model: LanguageModelConfig
    rates: tuple[float, ...]
    search_tokens: int
    protocol: int = PROTOCOL

    @property
    def seed(self) -> int:
        """That of initial weights and of the order of the text."""
        return self.model.training.seed

    @cached_property
    def key(self) -> str:
        """24 hex digits of a SHA-256 over all fields."""
        content = json.dumps(self.to_mapping(), sort_keys=True, allow_nan=False)
        return hashlib.sha256(content.encode()).hexdigest()[:24]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> DecoderTrial:
        """What `to_mapping` gave."""
        return from_mapping(cls, values, what="trial field")


@dataclass(frozen=True, slots=True)
class DecoderRecord:
    """What a trial measured; JSON values throughout.

    `candidates` are the rates that were tried and their validation losses. `curve` has the tokens trained on,
    the training and the validation loss after each part of the training. `seconds` are those of the whole
    trial, `training_seconds` and `processor_seconds` of the training with the chosen rate.
    """

    key: str
    trial: Mapping[str, Any]
    chosen: Mapping[str, float]
    candidates: tuple[Mapping[str, Any], ...]
    validation: Mapping[str, float]
    test: Mapping[str, float]
    n_parameters: int
    flops_per_token: int
    n_tokens: int
    curve: tuple[Mapping[str, float], ...]
    training_seconds: float
    processor_seconds: float
    seconds: float

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> DecoderRecord:
        """What `to_mapping` gave; KeyError, TypeError or ValueError for anything else."""
        plain = dict(values)
        for name in ("candidates", "curve"):
            if not isinstance(plain[name], list | tuple):
                raise TypeError(f"{name} is no list")
            plain[name] = tuple(plain[name])
        record = cls(**plain)
        check_kinds(record, str=("key",), dict=("trial", "chosen", "validation", "test"))
        check_kinds(record, int=("n_parameters", "flops_per_token", "n_tokens"))
        check_kinds(record, float=("training_seconds", "processor_seconds", "seconds"))
        for measured in (record.chosen, record.validation, record.test, *record.curve):
            if not all(isinstance(value, int | float) for value in measured.values()):
                raise TypeError("a measurement is no number")
        return record


class DecoderJournal(ClaimJournal[DecoderRecord]):
    """The journal of a study of language models."""

    format: ClassVar[str] = "hybridqies-decoder-trials"
    what: ClassVar[str] = "trial journal"
    file_name: ClassVar[str] = FILE_NAME

    @staticmethod
    def _read_record(values: Mapping[str, Any]) -> DecoderRecord:
        return DecoderRecord.from_mapping(values)

    def _check_about(self, about: Mapping[str, Any]) -> None:
        if not isinstance(about["texts"], dict):
            raise TypeError("the texts are no table")
