"""What reaches the terminal: data is text, never markup, and nothing in it is obeyed."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from hybridqies.cli.app import run
from hybridqies.cli.output import (
    complain,
    escape_controls,
    say,
    say_data,
    say_json,
    show,
    to_json,
)
from hybridqies.errors import InputError

HOSTILE = [
    ("[/]", "[/]"),
    ("[spam]", "[spam]"),
    ("[/bold]", "[/bold]"),
    ("[link=https://example.com]x", "[link=https://example.com]x"),
    (":smile:", ":smile:"),
    ("\\[x]", "\\[x]"),
    ("\x1b[31mred", "\\x1b[31mred"),
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ("a\rb", "a\\rb"),
    ("a\x08b\x7f\x9b2J", "a\\x08b\\x7f\\x9b2J"),
    ("\u202egnirts", "\\u202egnirts"),
    ("a\u2028b", "a\\u2028b"),
    ("\ud800", "\\ud800"),
]
HARMLESS = ["plain", "日本語", "ü ß ø", "e\u0301", "👩‍👩‍👧", "عربى", "a\tb", "100 % ± 3"]


@pytest.mark.parametrize(("given", "shown"), HOSTILE)
def test_what_a_terminal_would_obey_is_shown(
    given: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table("label", given, title=given)
    table.add_row(given, "x")
    show(table, given)
    out = capsys.readouterr().out
    # Title, heading, cell, and the text alone.
    assert out.count(shown) == 4
    say(given)
    complain(given)
    assert capsys.readouterr() == (shown + "\n", f"hybridqies: {shown}\n")


@pytest.mark.parametrize("text", HARMLESS)
def test_all_else_stays(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert escape_controls(text) == text
    say(text)
    assert capsys.readouterr().out == text + "\n"


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain("a\nb\x85c\u2028d")
    assert capsys.readouterr().err == "hybridqies: a b\\x85c\\u2028d\n"


@pytest.mark.parametrize("text", [given for given, _ in HOSTILE] + HARMLESS)
def test_json_says_the_same_without_controls(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"label": text})
    out = capsys.readouterr().out
    assert json.loads(out) == {"label": text}
    assert escape_controls(out) == out


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_holds_no_nan(value: float) -> None:
    with pytest.raises(InputError, match="cannot be written as JSON"):
        to_json({"p": [value]})


@pytest.mark.parametrize("terminal", [True, False])
def test_data_for_programs_is_escaped_on_a_terminal_alone(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Out(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    out = Out()
    monkeypatch.setattr(sys, "stdout", out)
    say_data("text\n\x1b[31m\n")
    assert out.getvalue() == ("text\n\\x1b[31m\n" if terminal else "text\n\x1b[31m\n")


RECIPE = r"""
title = "t [/bold] \u001b[31m"
reference = "r [/]"
weights = "0"
measure = [{ pauli = "Z" }]
layers = [{ rotate = "H" }]
[options]
a = { default = 1, help = "see [/docs] \u001b]0;x\u0007" }
"""


@pytest.mark.torch
def test_a_recipe_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.toml").write_text(RECIPE)
    assert run(["circuits", "show", str(tmp_path / "own.toml")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    for shown in ("t [/bold] \\x1b[31m", "r [/]", "see [/docs] \\x1b]0;x\\x07"):
        assert shown in out


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(["evaluate", "no\x1b[31msuch"], marks=pytest.mark.torch),
        ["circuits", "show", "no\x1b[31msuch"],
        pytest.param(["train", "--data", "no\x1b[31msuch.csv", "--out", "x"], marks=pytest.mark.torch),
        ["train", "--no\x1b[31msuch"],
        ["no\x1b[31msuch"],
        ["circuits", "show", "iqp", "--set", "\x1b[31m=1"],
    ],
)
def test_errors_escape_what_was_given(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(given) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert "\\x1b[31m" in err


@pytest.mark.parametrize(
    "given",
    [["train", "--out", ""], ["train", "--data="], ["sweep", "--out="], ["predict", "x", "--file", ""]],
)
def test_empty_values_are_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(given) == 2
    assert "was given an empty value; expected a value" in capsys.readouterr().err


def test_a_full_disk_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(*_: Any) -> None:
        raise OSError(28, "No space left on device", "/disk/model.safetensors")

    monkeypatch.setattr("hybridqies.circuit.list_circuits", fill)
    assert run(["circuits", "list"]) == 2
    assert capsys.readouterr().err == (
        "hybridqies: '/disk/model.safetensors': No space left on device; make room on that disk\n"
    )


@pytest.mark.parametrize("terminal", [False, True])
def test_no_line_of_a_table_ends_in_spaces(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    table = Table("a column that is wide", title="short", title_justify="left")
    table.add_row("cell")
    show(table, "text")
    lines = capsys.readouterr().out.splitlines()
    assert ("\x1b" in lines[0]) is terminal
    plain = [re.sub("\x1b" + r"\[[0-9;]*m", "", line) for line in lines]
    assert plain[0] == "short"
    assert plain[-1] == "text"
    assert plain == [line.rstrip() for line in plain]
