"""`--help` imports nothing heavy, so that it answers at once; the guide names what it names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer

from hybridqies.cli.app import COMMANDS, GROUPS, build

HEAVY = ("torch", "numpy", "pennylane", "qiskit", "sentence_transformers", "sklearn", "matplotlib", "pandas")


def names_of(group: typer.Typer) -> list[str]:
    return [str(each.name) for each in group.registered_commands]


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import json, sys; from hybridqies.cli.app import run; found = {}\n"
        "for command in ['', *sys.argv[1:]]:\n"
        "    assert run([*command.split(), '--help']) == 0\n"
        f"    found[command] = [name for name in {HEAVY} if name in sys.modules]\n"
        "sys.stderr.write(json.dumps(found))"
    )
    inside = [f"{group} {name}" for group, app in GROUPS.items() for name in names_of(app())]
    called = [*COMMANDS, *GROUPS, *inside]
    done = subprocess.run([sys.executable, "-c", code, *called], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == {command: [] for command in ("", *called)}
    assert "--per-class" in done.stdout


def test_the_guide_names_every_command_and_every_option_of_train() -> None:
    commands: dict[str, Any] = vars(typer.main.get_command(build()))["commands"]
    guide = (Path(__file__).parents[2] / "docs" / "concepts" / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--[a-z-]+", guide))
    options = {name for each in commands["train"].params for name in each.opts}
    assert options - {"--help"} <= named
    assert [name for name in (*COMMANDS, *GROUPS) if f"`{name}`" not in guide] == []
