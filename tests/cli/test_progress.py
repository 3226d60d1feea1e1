"""Progress bars: on a terminal, on stderr, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from hybridqies.cli.output import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in (("COLUMNS", "120"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def last_lines(terminal: Terminal) -> list[str]:
    import re

    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    return [line.rstrip() for line in plain.replace("\r", "\n").split("\n") if line.strip()]


def test_bars_with_live_metrics(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(quiet=False) as hooks:
        hooks.on_stage("embedding", 50)
        hooks.on_text(20, 50)
        hooks.on_stage("training two-module", 60)
        hooks.on_epoch({"epoch": 1, "train_loss": 0.6931})
        hooks.on_epoch(
            {"epoch": 2, "train_loss": 0.5, "validation_accuracy": 0.75, "validation_log_loss": 0.6}
        )
        hooks.on_stage("training svc", 1)
    embedding, module, svc = last_lines(terminal)[-3:]
    assert embedding.startswith("embedding ")
    assert "20/20" in embedding
    assert module.startswith("training two-module ")
    assert "2/2" in module
    assert module.endswith("loss 0.500  val acc 0.750  val loss 0.600")
    assert "1/1" in svc


def test_lines_where_there_is_no_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYBRIDQIES_PROGRESS", raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    monkeypatch.setattr("hybridqies.progress._PAUSES", (-1.0, 0.0, 1e9))
    with progress(quiet=False) as hooks:
        hooks.on_stage("embedding", 50)
        hooks.on_text(20, 50)
        hooks.on_stage("training \x1b[2J", 60)
        hooks.on_epoch({"epoch": 2, "train_loss": 0.5})
    lines = terminal.getvalue().splitlines()
    assert "embedding: 20 of 50, 0 s" in lines
    assert lines[-1] == r"training \x1b[2J: 2 of 60, loss 0.500, 0 s"


@pytest.mark.parametrize("how", ["quiet", "off"])
def test_nothing_when_asked(how: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridqies.progress._PAUSES", (-1.0, 0.0))
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("HYBRIDQIES_PROGRESS", "off" if how == "off" else "")
    monkeypatch.setattr(terminal, "isatty", lambda: how == "quiet")
    with progress(quiet=how == "quiet") as hooks:
        hooks.on_stage("embedding", 5)
        hooks.on_text(1, 5)
        hooks.on_epoch({"epoch": 1})
    assert terminal.getvalue() == ""


def test_an_error_passes_through(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(KeyboardInterrupt):
        interrupted_in_a_stage()
    assert last_lines(terminal)[-1].startswith("embedding ")


def interrupted_in_a_stage() -> None:
    with progress(quiet=False) as hooks:
        hooks.on_stage("embedding", 5)
        raise KeyboardInterrupt
