"""Progress as bars: on a terminal, and below the cell of a notebook."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hybridqies.progress import COMPILING, describe_epoch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_WIDTH = 110
# Seconds between two pictures of the bars; a notebook keeps up with no more.
_PAUSE = 0.2
_FRAME = '<pre style="white-space:pre;overflow-x:auto;line-height:normal">{code}</pre>'


class Steps:
    """Where progress is shown: stages one after the other, each with its steps. This one shows nothing."""

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` steps begins, `done` of them before; the stage before it is over."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """So many steps of the stage are done; `note` is what else there is to say."""

    def tell(self, message: str) -> None:
        """Something else that is worth a line."""

    def end(self) -> None:
        """The stage is over."""


class Bars(Steps):
    """One bar a stage; it ends when the next begins, full even where there were fewer steps than planned.

    `escape` is applied to text that is shown.
    """

    def __init__(self, bar: Progress, escape: Callable[[str], str] = str) -> None:
        self._bar, self._escape = bar, escape
        self._task: TaskID | None = None

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """Adds a bar below the others."""
        self.end()
        self._task = self._bar.add_task(self._escape(stage), total=total, completed=done, note="")

    def update(self, done: int, total: int, note: str = "") -> None:
        """Moves the current bar."""
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, note=self._escape(note))

    def tell(self, message: str) -> None:
        """Writes a line above the bars."""
        self._bar.console.print(message)

    def end(self) -> None:
        """Fills the current bar."""
        if self._task is not None:
            task = self._bar.tasks[self._bar.task_ids.index(self._task)]
            steps_done = task.completed or task.total or 1
            self._bar.update(self._task, total=steps_done, completed=steps_done)
            self._task = None


class NotebookBars(Bars):
    """The bars of a terminal as HTML below the cell of a notebook, drawn again in the same place.

    As a context manager it fills the last bar. It has the methods of `ProgressLines`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        self._console = Console(
            record=True, file=io.StringIO(), width=_WIDTH, force_terminal=True, force_jupyter=False
        )
        super().__init__(make_bars(self._console))
        self._clock, self._drawn_at = clock, float("-inf")
        self._messages: list[str] = []
        self._handle: Any = None

    def __enter__(self) -> NotebookBars:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end()
        self._draw()

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """Adds a bar below the others."""
        super().begin(stage, total, done)
        self._draw()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Moves the current bar."""
        super().update(done, total, note)
        if self._clock() >= self._drawn_at + _PAUSE:
            self._draw()

    def tell(self, message: str) -> None:
        """Writes a line above the bars."""
        self._messages.append(message)
        self._draw()

    def tell_of_compilation(self) -> None:
        """Kernels are about to be compiled."""
        self.tell(COMPILING)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch is over; `record` is its line in `metrics.jsonl`."""
        total = int(self._bar.tasks[-1].total or 0) if self._bar.tasks else 0
        self.update(record["epoch"], max(total, record["epoch"]), describe_epoch(record))

    def _draw(self) -> None:
        from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

        self._drawn_at = self._clock()
        self._console.print(*self._messages, self._bar.get_renderable(), sep="\n", markup=False)
        shown = {
            "text/html": self._console.export_html(inline_styles=True, code_format=_FRAME, clear=False),
            "text/plain": self._console.export_text(),
        }
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def make_bars(console: Console, remembered_seconds: float = 30.0) -> Progress:
    """Bars with a name, a count, the time left and a note; they show nothing until they are started."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description:<22}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        speed_estimate_period=remembered_seconds,
    )


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook; a terminal with IPython is none."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
