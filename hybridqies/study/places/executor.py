"""What every place offers that runs trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Executor(Protocol):
    """Where trials run, in groups that train together.

    `collect` waits for a group that was submitted; `free` is how many more it takes now.
    """

    @property
    def places(self) -> int:
        """Groups that run side by side."""

    @property
    def free(self) -> int:
        """Groups that may be submitted now."""

    @property
    def running(self) -> int:
        """Trials that were submitted and not collected."""

    def submit(self, trials: Sequence[Any]) -> None:
        """Begins a group."""

    def collect(self) -> Sequence[Any]:
        """Waits until trials that were submitted are over: a group of them, or a part of one."""
