"""The `hybridqies` program: its table of commands, and how errors leave it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from hybridqies import __version__
from hybridqies.cli import backends, circuits, encode, evaluate, predict, train
from hybridqies.cli.output import complain, say
from hybridqies.errors import HybridqiesError

COMMANDS: dict[str, Callable[..., None]] = {
    "train": train.command,
    "evaluate": evaluate.command,
    "predict": predict.command,
    "circuits": circuits.command,
    "backends": backends.command,
    "encode": encode.command,
}

BAD_INPUT, INTERRUPTED = 2, 130


def build() -> typer.Typer:
    """The program with every command of the table."""
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
        given = None if arguments is None else list(arguments)
        code = build()(args=given, prog_name="hybridqies", standalone_mode=False)
        # A reader that went away is met here and not at exit, where Python would print a traceback.
        sys.stdout.flush()
    except HybridqiesError as error:
        complain(str(error))
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        complain("memory ran out; use fewer qubits or a smaller --batch-size")
        return BAD_INPUT
    except OSError as error:
        if error.filename is None:
            raise
        complain(f"{str(error.filename)!r}: {error.strerror}")
        return BAD_INPUT
    except Exception as error:
        # The parser's own complaints have this method in every version of typer; anything else is a bug.
        if not hasattr(error, "format_message"):
            raise
        message = " ".join(error.format_message().split())
        # Without any argument there is only the help text, which has been printed by then.
        if message:
            complain(message)
        return BAD_INPUT
    return code if isinstance(code, int) else 0
