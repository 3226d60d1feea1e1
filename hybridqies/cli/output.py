"""What commands share: how text reaches the terminal, how progress looks, and how `key=value` is read.

Labels, texts, recipes, paths and what a service answered are data: they are shown as they are, never read
as markup, and what a terminal would obey is shown escaped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hybridqies.bars import Bars, Steps, make_bars
from hybridqies.errors import InputError
from hybridqies.options import parse_word
from hybridqies.progress import COMPILING, ProgressLines, describe_epoch

if TYPE_CHECKING:
    from rich.console import Console

    from hybridqies.runs import Hooks

# Control characters but tab and line feed; separators of lines; what turns the direction of text; halves of
# surrogate pairs, which have no form in UTF-8.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Spaces that fill a line to the width of a table, before the codes that end its style.
_PADDING = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)


class InterruptionError(Exception):
    """The user stopped a command that has more to say about it than that."""


def escape_controls(text: str) -> str:
    r"""The text with everything that a terminal would obey written as an escape, such as \x1b.

    Tabs and line feeds stay.
    """
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def complain(message: str) -> None:
    """One line to stderr."""
    line = escape_controls(message.replace("\n", " "))
    sys.stderr.write(f"hybridqies: {line}\n")


def say(text: str) -> None:
    """A line to stdout."""
    sys.stdout.write(escape_controls(text) + "\n")


def say_data(text: str) -> None:
    """What other programs read, to stdout: as it is, unless it goes to a terminal."""
    sys.stdout.write(escape_controls(text) if sys.stdout.isatty() else text)


def say_json(content: Any) -> None:
    """Indented JSON to stdout."""
    sys.stdout.write(to_json(content, indent=2) + "\n")


def to_json(content: Any, indent: int | None = None) -> str:
    """JSON whose control characters are escaped, which changes nothing of what it says.

    Raises
    ------
    InputError: it holds NaN or an infinity.
    """
    try:
        text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise InputError(f"the result cannot be written as JSON: {error}") from None
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def show(*renderables: Any) -> None:
    """Tables and text to stdout, as wide as the terminal; 120 columns where there is none."""
    console = _console(sys.stdout)
    with console.capture() as captured:
        console.print(*renderables)
    sys.stdout.write(_PADDING.sub(r"\1", captured.get()))


def _console(stream: Any) -> Console:
    """A console that takes every word for text: no markup, no emoji codes, no control characters."""
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **given: Any) -> Text:
            return super().render_str(escape_controls(text), **given)

    width = None if stream.isatty() else 120
    return PlainConsole(file=stream, width=width, markup=False, emoji=False, highlight=False)


def read_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as a dictionary; numbers and true/false are read as such.

    Raises
    ------
    InputError: a word without "=", or a key given twice.
    """
    words = read_pairs(pairs, "--set", "key=value, as in --set connectivity=3")
    return {key: parse_word(value) for key, value in words.items()}


def read_pairs(pairs: Sequence[str], flag: str, expected: str) -> dict[str, str]:
    """The two sides of each `key=value` word that a flag was given.

    Raises
    ------
    InputError: a word without "=", or a key given twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise InputError(f"{flag} was given {pair!r}", expected=expected)
        if key in found:
            raise InputError(f"{flag} gives {key!r} twice", expected="each key once")
        found[key] = value
    return found


@contextlib.contextmanager
def steps(quiet: bool, *, remembered_seconds: float = 30.0) -> Iterator[Steps | ProgressLines]:
    """Progress on stderr: bars on a terminal, lines elsewhere; nothing when `quiet`.

    Lines come after five seconds at the earliest; HYBRIDQIES_PROGRESS=off keeps them away.
    The time left is estimated from the steps of the last `remembered_seconds`.
    """
    if quiet or (not sys.stderr.isatty() and os.environ.get("HYBRIDQIES_PROGRESS", "").lower() == "off"):
        yield Steps()
    elif not sys.stderr.isatty():
        with ProgressLines(_write_line) as lines:
            yield lines
    else:
        with make_bars(_console(sys.stderr), remembered_seconds) as bar:
            drawn = Bars(bar, escape_controls)
            yield drawn
            drawn.end()


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Hooks]:
    """The hooks of a run that show its progress; see `steps`."""
    from hybridqies.runs import Hooks

    with steps(quiet) as shown:
        total = 0

        def begin(stage: str, steps_of_it: int) -> None:
            nonlocal total
            total = steps_of_it
            shown.begin(stage, total)

        def epoch(record: dict[str, Any]) -> None:
            shown.update(record["epoch"], max(total, record["epoch"]), describe_epoch(record))

        yield Hooks(
            on_stage=begin,
            on_text=shown.update,
            on_epoch=epoch,
            on_compile=lambda: shown.tell(COMPILING),
        )


def _write_line(line: str) -> None:
    sys.stderr.write(escape_controls(line) + "\n")
    sys.stderr.flush()
