"""`hybridqies backends`: where circuits can run, from the table of backends."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hybridqies.cli.output import complain, say_json, show


def command(json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False) -> None:
    """List the backends and what each of them can do.

    Example: `hybridqies backends --json`
    """
    from hybridqies.backends import backend_classes, describe_backends

    kinds, broken = backend_classes()
    rows = describe_backends(kinds)
    for problem in broken.values():
        complain(problem)
    if json:
        say_json(rows)
        return
    from rich.table import Table

    table = Table(title="Backends", title_justify="left", show_lines=False)
    table.add_column("name", no_wrap=True)
    for name in ("what it is", "can", "qubits", "here"):
        table.add_column(name)
    for row in rows:
        table.add_row(row["name"], row["what it is"], _abilities(row), str(row["max_qubits"]), _presence(row))
    show(table)


def _abilities(row: dict[str, Any]) -> str:
    words = {
        "native_gradients": "own gradients",
        "shots": "shots",
        "noise": "noise",
        "amplitude_input": "amplitudes",
        "light_cones": "light cones",
        "hardware": "hardware",
        "costs_money": "costs money",
    }
    return ", ".join(word for key, word in words.items() if row[key])


def _presence(row: dict[str, Any]) -> str:
    return "yes" if row["installed"] else str(row["install"])
