"""What comes of a trial of any kind: a record of that kind, or a failure; and both as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hybridqies.options import to_mapping


class Keyed(Protocol):
    """A record that has a key."""

    @property
    def key(self) -> str:
        """Hex digits that name what was done."""

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """Why a trial has no record."""

    key: str
    trial: Mapping[str, Any]
    error: str
    seconds: float

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrialFailure:
        """What `to_mapping` gave; TypeError for anything else."""
        failure = cls(**values)
        check_kinds(failure, str=("key", "error"), dict=("trial",), float=("seconds",))
        return failure


def outcome_to_mapping(outcome: Keyed) -> dict[str, Any]:
    """What came of a trial, as JSON values; `TrialKind.outcome` reads it."""
    return {"kind": type(outcome).__name__, "outcome": outcome.to_mapping()}


def check_kinds(outcome: Any, **kinds: tuple[str, ...]) -> None:
    """TypeError where a field is not of the kind that JSON gives for it."""
    known: dict[str, Any] = {"str": str, "dict": dict, "int": int, "bool": bool, "float": (int, float)}
    for kind, names in kinds.items():
        for name in names:
            value = getattr(outcome, name)
            if not isinstance(value, known[kind]) or (isinstance(value, bool) and kind != "bool"):
                raise TypeError(f"{name} is {value!r:.40}")
