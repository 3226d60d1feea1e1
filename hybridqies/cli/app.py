"""The `hybridqies` program: its table of commands, and how errors leave it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer

from hybridqies import __version__
from hybridqies.cli import (
    backends,
    circuits,
    compress,
    cost,
    diagnose,
    doctor,
    encode,
    evaluate,
    export,
    hub,
    jobs,
    lattice,
    lm,
    parity,
    predict,
    quanta,
    report,
    scale,
    selfplay,
    studies,
    train,
    zipf,
)
from hybridqies.cli.output import InterruptionError, complain, say
from hybridqies.errors import HybridqiesError, InputError
from hybridqies.text.checks import DataWarning

COMMANDS: dict[str, Callable[..., None]] = {
    "train": train.command,
    "evaluate": evaluate.command,
    "predict": predict.command,
    "backends": backends.command,
    **{words: each for words, each in studies.commands().items() if " " not in words},
    "jobs": jobs.command,
    "encode": encode.command,
    "compress": compress.command,
    "cost": cost.command,
    "export": export.command,
    "lattice": lattice.command,
    "zipf": zipf.command,
    "parity": parity.command,
    "diagnose": diagnose.command,
    "doctor": doctor.command,
    "report": report.command,
}

GROUPS: dict[str, Callable[[], typer.Typer]] = {
    "circuits": circuits.group,
    "hub": hub.group,
    "lm": lm.group,
    "quanta": quanta.group,
    "scale": scale.group,
    "selfplay": selfplay.group,
}

BAD_INPUT, INTERRUPTED = 2, 130
# No heads to compare with.
_MAY_BE_EMPTY = {"--compare"}


def build() -> typer.Typer:
    """The program with every command and group of commands."""
    app = typer.Typer(
        name="hybridqies",
        help="Hybrid quantum-classical fine-tuning of text classifiers.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    for name, command in COMMANDS.items():
        app.command(name)(command)
    for name, group in GROUPS.items():
        app.add_typer(group(), name=name)
    app.callback()(_root)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and exits: 0, 2 after one line about bad input, 130 after an interrupt."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The program as a function from arguments to an exit code."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        _refuse_empty(given)
        with _complaining():
            code = build()(args=given, prog_name="hybridqies", standalone_mode=False)
        # A reader that went away is met here and not at exit, where Python would print a traceback.
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort, InterruptionError) as interrupt:
        complain(str(interrupt) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        # Without any argument there is only the help text, which has been printed by then.
        if message:
            complain(message)
        return BAD_INPUT
    if code == INTERRUPTED:
        # Some versions of typer turn the interrupt into a silent exit.
        complain("interrupted")
    return code if isinstance(code, int) else 0


@contextlib.contextmanager
def _complaining() -> Iterator[None]:
    """Shows each of the package's warnings once, as a line like those about bad input."""
    with warnings.catch_warnings():
        other = warnings.showwarning
        shown: set[str] = set()

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if category.__module__.startswith("hybridqies"):
                if str(message) not in shown:
                    shown.add(str(message))
                    complain(f"warning: {message}")
            else:
                other(message, category, *where, **more)

        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuses `--out ""`: to a path it would mean the current folder."""
    for word, following in zip(words, [*words[1:], "-"], strict=False):
        flag, equals, value = word.partition("=")
        if word == "--":
            return
        if flag.startswith("--") and flag not in _MAY_BE_EMPTY and (value if equals else following) == "":
            raise InputError(f"{flag} was given an empty value", expected="a value")


def _message(error: Exception) -> str | None:
    """The one line for an error that a user can do something about; None for a bug."""
    if isinstance(error, HybridqiesError):
        return str(error)
    # The parser's own complaints have this method in every version of typer.
    if hasattr(error, "format_message"):
        return " ".join(error.format_message().split())
    if isinstance(error, OSError):
        what = "" if error.filename is None else f"{str(error.filename)!r}: "
        full = "; make room on that disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{what}{error.strerror or error}{full}"
    if isinstance(error, UnicodeEncodeError):
        return f"the output cannot be written as {error.encoding}; set PYTHONIOENCODING=utf-8, or use --out"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):
        return "memory ran out; use fewer qubits, a smaller --batch-size or a smaller head"
    return None
