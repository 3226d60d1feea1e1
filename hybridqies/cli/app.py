"""The `hybridqies` program: its table of commands, and how errors leave it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from hybridqies import __version__
from hybridqies.cli import backends, circuits, encode, evaluate, predict, train
from hybridqies.cli.output import complain
from hybridqies.errors import HybridqiesError

COMMANDS = {
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


def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and exits: 0, 2 after one line about bad input, 130 after an interrupt."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The program as a function from arguments to an exit code."""
    try:
        code = build()(args=None if arguments is None else list(arguments), standalone_mode=False)
    except HybridqiesError as error:
        complain(str(error))
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except Exception as error:
        # The parser's own complaints have this method in every version of typer; anything else is a bug.
        if not hasattr(error, "format_message"):
            raise
        complain(" ".join(error.format_message().split()))
        return BAD_INPUT
    return code if isinstance(code, int) else 0
