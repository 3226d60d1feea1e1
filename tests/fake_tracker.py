"""A tracker that keeps what it is told, and fails when told to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridqies.trackers import Tracker

TOLD: list[tuple[Any, ...]] = []
FAILS_AT: list[str] = []
"""Names of methods that raise; `log` with the epoch after it, as in log 2."""


class Fake(Tracker):
    """Keeps its calls in TOLD."""

    def __init__(self, target: str | None, run: Path) -> None:
        self._told("make", target)

    def connect(self) -> None:
        self._told("connect")

    def begin(self, name: str, config: Mapping[str, Any], known: str | None) -> str:
        self._told("begin", name, dict(config), known)
        return known or f"training {sum(each[0] == 'begin' for each in TOLD)}"

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._told(f"log {step}", dict(metrics))

    def end(self, result: Mapping[str, float] | None) -> None:
        self._told("end", None if result is None else dict(result))

    def _told(self, method: str, *given: Any) -> None:
        if method in FAILS_AT:
            raise RuntimeError(f"no answer from https://me:secret-word@tracker.example to {method}")
        TOLD.append((method, *given))


def methods() -> list[str]:
    """The methods that were called, in their order."""
    return [each[0] for each in TOLD]
