"""TensorBoard: event files in a folder, written by torch's own writer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hybridqies.errors import MissingExtraError
from hybridqies.trackers.base import Scalar, Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Tracker):
    """Writes to the folder `target`; by default to `tensorboard` beside the folder of the run."""

    def __init__(self, target: str | None, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError("tracker 'tensorboard'", "tensorboard") from None
        self._make = SummaryWriter
        self._root = run.absolute().parent / "tensorboard" if target is None else Path(target).absolute()
        self._writer: SummaryWriter | None = None
        self._step = 0

    def begin(self, name: str, config: Mapping[str, Scalar], known: str | None) -> str:
        """A folder for the training; its name is relative to that of all."""
        found = known or self._unused(name)
        self._step = 0
        self._writer = self._make(str(self._root / found))
        if known is None:
            rows = "".join(f"| {key} | {value} |\n" for key, value in config.items())
            self._writer.add_text("config", f"| option | value |\n|---|---|\n{rows}")
        return found

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One point of each curve, on the disk at once."""
        assert self._writer is not None
        self._step = step
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, result: Mapping[str, float] | None) -> None:
        """The result as points at the last epoch."""
        assert self._writer is not None
        if result is not None:
            self.log(result, self._step)
        self._writer.close()
        self._writer = None

    def _unused(self, name: str) -> str:
        """`name`, with a number where there is such a folder already."""
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        return next(each for each in names if not (self._root / each).exists())
