"""`hybridqies doctor`: what works on this machine, and how to install the rest."""

from __future__ import annotations

from typing import Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json, show, steps


def command(json: flags.AsJson = False) -> None:
    """Show versions, devices, extras and caches, and test the simulator on every device.

    The exit code is 1 if a test fails.

    Example: `hybridqies doctor --json`
    """
    from hybridqies.doctor import examine

    with steps(json) as shown:
        shown.begin("self-test", 1)
        found = examine(shown.update)
    if json:
        say_json(found)
    else:
        _show(found)
    if not all(test["passed"] for test in found["self_tests"]):
        raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table

    say(f"hybridqies {found['hybridqies']}, Python {found['python']}, {found['system']}")
    say(
        f"{found['processors']} processors, torch uses {found['torch_threads']} threads, "
        f"{found['free_memory'] / 2**30:.1f} GiB of memory free"
    )
    say(", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items()))
    tests = Table(title="Self-test of the simulator", title_justify="left")
    for name in ("device", "name", "result", "largest error", "step of 10 qubits, 256 samples"):
        tests.add_column(name)
    for row in found["self_tests"]:
        tests.add_row(
            row["device"],
            row["name"],
            "passed" if row["passed"] else f"failed: {row['problem']}",
            "" if row["error"] is None else f"{row['error']:.0e}",
            "" if row["milliseconds"] is None else f"{row['milliseconds']:.2f} ms",
        )
    show(tests, _parts(found), _caches(found))


def _parts(found: dict[str, Any]) -> Any:
    """Backends and extras that lack something, with the command that installs it."""
    from rich.table import Table

    usable = [row["name"] for row in found["backends"] if row["usable"]]
    table = Table(title=f"Usable backends: {', '.join(usable)}", title_justify="left")
    for name in ("not installed", "lacks", "install with"):
        table.add_column(name)
    for row in found["extras"]:
        if row["missing"]:
            table.add_row(f"extra {row['extra']}", ", ".join(row["missing"]), row["install"])
    for row in found["backends"]:
        if not row["usable"]:
            table.add_row(f"backend {row['name']}", "", row["install"])
    return table


def _caches(found: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title="Folders that keep files between runs", title_justify="left")
    table.add_column("what")
    table.add_column("files", justify="right")
    table.add_column("size", justify="right")
    table.add_column("folder", overflow="fold")
    for row in found["caches"]:
        table.add_row(row["cache"], f"{row['files']:,}", _in_words(row["bytes"]), row["folder"])
    return table


def _in_words(count: int) -> str:
    """Bytes in the unit that leaves one to four digits before the point."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    size, at = float(count), 0
    while size >= 1024 and at < len(units) - 1:
        size, at = size / 1024, at + 1
    return f"{size:.0f} {units[at]}" if at == 0 else f"{size:.1f} {units[at]}"
