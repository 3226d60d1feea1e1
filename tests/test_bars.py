"""Bars in a notebook: with IPython's display as it is called, and in the kernel of a real notebook."""

from __future__ import annotations

import contextlib
import re
import sys
import types
from typing import Any

import pytest

from hybridqies.bars import NotebookBars, is_notebook
from hybridqies.verbosity import LOGGER, log_progress


class Display:
    """Stands in for `IPython.display`: keeps every picture, in the order in which they were shown."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []
        self.handles = 0

    def display(self, bundle: dict[str, str], raw: bool, display_id: bool) -> Display:
        self.handles += 1
        self.update(bundle, raw)
        return self

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Display:
    shown = Display()
    ipython: Any = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def test_the_same_place_is_drawn_again(notebook: Display) -> None:
    times = iter(range(100))
    with NotebookBars(clock=lambda: next(times)) as bars:
        bars.begin("embedding", 50)
        bars.update(20, 50)
        bars.begin("training [bold]<two>", 60)
        bars.tell_of_compilation()
        bars.epoch({"epoch": 1, "train_loss": 0.6931})
        bars.epoch({"epoch": 2, "train_loss": 0.5, "validation_accuracy": 0.75})
    assert notebook.handles == 1
    before, last = notebook.shown[-2:]
    lines = [line.rstrip() for line in last["text/plain"].splitlines() if line.strip()]
    assert lines[0] == "compiling kernels, once on this machine"
    assert lines[1].startswith("embedding ")
    assert "20/20" in lines[1]
    assert lines[2].startswith("training [bold]<two> ")
    assert "2/2" in lines[2]
    assert lines[2].endswith("loss 0.500  val acc 0.750")
    assert "2/60" in before["text/plain"]
    assert "&lt;two&gt;" in last["text/html"]
    assert "<two>" not in last["text/html"]
    assert re.search(r"<span style=\"color: #[0-9a-f]{6}", last["text/html"])


def test_a_notebook_is_not_flooded(notebook: Display) -> None:
    with NotebookBars(clock=lambda: 7.0) as bars:
        bars.begin("embedding", 1000)
        for done in range(1000):
            bars.update(done, 1000)
    assert len(notebook.shown) == 2
    assert "999/999" in notebook.shown[-1]["text/plain"]


def test_a_failure_leaves_the_bar_where_it_was(notebook: Display) -> None:
    with contextlib.suppress(ValueError), NotebookBars(clock=lambda: 7.0) as bars:
        bars.begin("embedding", 50)
        bars.update(20, 50)
        raise ValueError("broken")
    assert "20/50" in notebook.shown[-1]["text/plain"]


class TestVerbose:
    @pytest.fixture(autouse=True)
    def no_logging(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # pytest has handlers of its own.
        monkeypatch.setattr(LOGGER, "hasHandlers", lambda: False)

    def test_a_notebook_gets_bars(self, notebook: Display) -> None:
        with log_progress(verbose=True) as shown:
            shown.begin("embedding", 5)
        assert "embedding" in notebook.shown[-1]["text/plain"]

    def test_unasked_nothing_is_shown(self, notebook: Display) -> None:
        with log_progress(verbose=False) as shown:
            shown.begin("embedding", 5)
        assert notebook.shown == []

    def test_logging_that_was_set_up_is_used(
        self, notebook: Display, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(LOGGER, "hasHandlers", lambda: True)
        with log_progress(verbose=True) as shown:
            shown.begin("embedding", 5)
        assert notebook.shown == []


def test_a_script_and_a_terminal_are_no_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert not is_notebook()
    terminal: Any = types.ModuleType("IPython")
    for shell in (None, types.SimpleNamespace()):
        terminal.get_ipython = lambda shell=shell: shell
        monkeypatch.setitem(sys.modules, "IPython", terminal)
        assert not is_notebook()


CELL = """
import numpy as np
from hybridqies import QuantumHeadClassifier
random = np.random.default_rng(0)
rows = random.normal(size=(40, 6))
model = QuantumHeadClassifier(head="mlp", verbose=True, epochs=6).fit(rows, rows[:, 0] > 0)
print(len(model.outcome_.history))
"""


@pytest.mark.slow
def test_a_real_notebook() -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(book, timeout=280, kernel_name="python3").execute()
    outputs = book.cells[0].outputs
    assert [each.text for each in outputs if each.get("name") == "stdout"] == ["6\n"]
    (bars,) = (each.data for each in outputs if each.output_type == "display_data")
    assert "training mlp" in bars["text/plain"]
    assert "6/6" in bars["text/plain"]
    assert "<pre" in bars["text/html"]
