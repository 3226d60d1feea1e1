"""`hybridqies backends`: where circuits can run, from the table of backends."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from hybridqies.cli.output import say_json, show


def command(json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False) -> None:
    """List the backends and what each of them can do.

    Example: `hybridqies backends --json`
    """
    from hybridqies.backends import BACKENDS, backend_class

    rows = [_facts(backend_class(name)) for name in BACKENDS]
    if json:
        say_json(rows)
        return
    from rich.table import Table

    table = Table(*rows[0], title="Backends")
    for row in rows:
        table.add_row(*(_word(value) for value in row.values()))
    show(table)


def _facts(backend: Any) -> dict[str, Any]:
    return {"name": backend.name, "what it is": backend.summary, **asdict(backend.capabilities)}


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
