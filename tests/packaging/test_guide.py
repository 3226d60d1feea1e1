"""The guide's snippets: commands have the options they are shown with, and imported names exist."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from hybridqies.cli.app import build

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/concepts/*.md")])


def commands_of(program: Any) -> dict[str, Any]:
    """Every command by its name; commands of a group behind that of the group."""
    found: dict[str, Any] = {}
    for name, each in vars(program).get("commands", {}).items():
        inside = commands_of(each)
        found |= {f"{name} {inner}": command for inner, command in inside.items()} or {name: each}
    return found


COMMANDS = commands_of(typer.main.get_command(build()))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def shown_commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "console") for line in block.replace("\\\n", " ").splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("hybridqies ")]
    return [words for words in found if "|" not in words]


def name_of(words: list[str]) -> str:
    """The command that a line calls: one word, or two where the first is a group."""
    return words[1] if words[1] in COMMANDS else " ".join(words[1:3])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    for words in shown_commands(page):
        command = name_of(words)
        known = {name for each in COMMANDS[command].params for name in each.opts}
        assert {word for word in words if word.startswith("--")} <= known, (command, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_imported_is_there(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("hybridqies"):
                module = importlib.import_module(str(node.module))
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_commands_and_snippets_are_found() -> None:
    """A pattern that finds nothing would let everything through."""
    commands = [words for page in PAGES for words in shown_commands(page)]
    assert len(commands) > 50
    assert {name_of(words) for words in commands} == set(COMMANDS)
    assert sum(len(blocks(page, "python")) for page in PAGES) > 9
