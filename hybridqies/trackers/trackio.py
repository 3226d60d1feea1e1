"""trackio: Hugging Face's tracker, whose dashboard runs on the own machine."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hybridqies.errors import MissingExtraError
from hybridqies.trackers.base import Scalar, Tracker

if TYPE_CHECKING:
    import trackio


class Trackio(Tracker):
    """Writes to the project `target`, by default hybridqies.

    TRACKIO_DIR, TRACKIO_SERVER_URL and TRACKIO_SPACE_ID say where projects are.
    """

    def __init__(self, target: str | None, run: Path) -> None:  # noqa: ARG002
        try:
            import trackio
        except ImportError:
            raise MissingExtraError("tracker 'trackio'", "trackio") from None
        self._init = trackio.init
        self._project = target or "hybridqies"
        self._run: trackio.Run | None = None
        self._step = 0

    def begin(self, name: str, config: Mapping[str, Scalar], known: str | None) -> str:
        """A run of trackio, which finds runs by name: each gets one of its own."""
        self._step = 0
        # It prints, and stdout is for results.
        with contextlib.redirect_stdout(sys.stderr):
            self._run = self._init(
                self._project,
                name=known or f"{name}-{uuid.uuid4().hex[:6]}",
                config=dict(config),
                resume="never" if known is None else "must",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return str(self._run.name)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One row of metrics."""
        assert self._run is not None
        self._step = step
        self._run.log(dict(metrics), step=step)

    def end(self, result: Mapping[str, float] | None) -> None:
        """Waits until everything is written."""
        assert self._run is not None
        if result is not None:
            self.log(result, self._step)
        with contextlib.redirect_stdout(sys.stderr):
            self._run.finish()
        self._run = None
