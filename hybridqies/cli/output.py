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
    from hybridqies.study import Hooks


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
    from hybridqies.study import Hooks

    if quiet or not sys.stderr.isatty():
        yield Hooks()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[live]}"),
        console=Console(stderr=True),
    )
    with bar:
        yield _hooks(bar)


def _hooks(bar: Any) -> Hooks:
    from hybridqies.study import Hooks

    current: list[Any] = []

    def stage(name: str, total: int) -> None:
        if current:
            task = bar.tasks[bar.task_ids.index(current[-1])]
            bar.update(current[-1], total=task.completed or 1, completed=task.completed or 1)
        current.append(bar.add_task(name, total=total, live=""))

    def text(done: int, total: int) -> None:
        bar.update(current[-1], completed=done, total=total)

    def epoch(record: dict[str, Any]) -> None:
        names = {"train_loss": "loss", "validation_accuracy": "val acc", "validation_log_loss": "val loss"}
        live = "  ".join(f"{short} {record[name]:.3f}" for name, short in names.items() if name in record)
        bar.update(current[-1], completed=record["epoch"], live=live)

    return Hooks(on_stage=stage, on_text=text, on_epoch=epoch)
