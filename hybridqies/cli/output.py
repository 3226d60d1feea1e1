"""What commands share: where text goes, how progress looks, and how `key=value` is read."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hybridqies.errors import InputError
from hybridqies.options import parse_word

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from hybridqies.runs import Hooks


class InterruptionError(Exception):
    """The user stopped a command that has more to say about it than that."""


def complain(message: str) -> None:
    """One line to stderr."""
    sys.stderr.write(f"hybridqies: {message}\n")


def say(text: str) -> None:
    """A line to stdout."""
    sys.stdout.write(text + "\n")


def say_json(content: Any) -> None:
    """Indented JSON to stdout."""
    say(json.dumps(content, indent=2, ensure_ascii=False))


def show(*renderables: Any) -> None:
    """Tables and text to stdout, as wide as the terminal; 120 columns where there is none."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(*renderables)


def read_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as a dictionary; numbers and true/false are read as such.

    Raises
    ------
    InputError: a word without "=", or a key given twice.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise InputError(f"--set was given {pair!r}", expected="key=value, as in --set connectivity=3")
        if key in settings:
            raise InputError(f"--set gives {key!r} twice", expected="each key once")
        settings[key] = parse_word(value)
    return settings


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Hooks]:
    """Hooks that draw progress bars on stderr; none when `quiet` or when stderr is no terminal."""
    from hybridqies.runs import Hooks

    if quiet or not sys.stderr.isatty():
        yield Hooks()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[live]}"),
        console=Console(stderr=True),
    )
    stages = _Stages(bar)
    with bar:
        yield Hooks(on_stage=stages.begin, on_text=stages.text, on_epoch=stages.epoch)
        stages.end()


class _Stages:
    """One bar a stage; it ends when the next begins, full even where there were fewer steps than planned."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task: TaskID | None = None

    def begin(self, name: str, total: int) -> None:
        self.end()
        self.task = self.bar.add_task(name, total=total, live="")

    def text(self, done: int, total: int) -> None:
        if self.task is not None:
            self.bar.update(self.task, completed=done, total=total)

    def epoch(self, record: dict[str, Any]) -> None:
        names = {"train_loss": "loss", "validation_accuracy": "val acc", "validation_log_loss": "val loss"}
        live = "  ".join(f"{short} {record[name]:.3f}" for name, short in names.items() if name in record)
        if self.task is not None:
            self.bar.update(self.task, completed=record["epoch"], live=live)

    def end(self) -> None:
        if self.task is not None:
            task = self.bar.tasks[self.bar.task_ids.index(self.task)]
            steps = task.completed or task.total or 1
            self.bar.update(self.task, total=steps, completed=steps)
