"""The page: what it says, that data in it stays data, and that it is whole without a network."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report.html.records import HOSTILE, make_run

from hybridqies.errors import InputError
from hybridqies.figures import render
from hybridqies.report.html import build_report
from hybridqies.report.html.chapters import make_chapters
from hybridqies.report.html.sections.learning import draw_learning
from hybridqies.report.html.still import draw


class Page(HTMLParser):
    """Elements of a page with their attributes, the text outside of scripts, and the scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self._open != "style":
            self.texts.append(data)

    def values(self, tag: str, attribute: str) -> list[str]:
        return [str(found[attribute]) for name, found in self.elements if name == tag and attribute in found]


@pytest.fixture(scope="module")
def read(page: str) -> Page:
    """The page, read."""
    return Page(page)


def test_names_are_text(read: Page) -> None:
    for name in HOSTILE:
        assert any(name in text for text in read.texts)
    assert not [found for _, found in read.elements if any(key.startswith("on") for key in found)]
    assert all(source.startswith("data:image/svg+xml;base64,") for source in read.values("img", "src"))


def test_specs_of_plots_hold_names_as_data(read: Page) -> None:
    specs = [text for found, text in read.scripts if found.get("type") == "application/json"]
    assert specs
    names = {trace["name"] for spec in specs for trace in json.loads(spec)["data"] if "name" in trace}
    # plotly reads entities and some tags: it is given entities alone.
    assert not [name for name in names if "<" in name]
    assert any(name.startswith("&lt;/script&gt;") for name in names)


def test_only_scripts_of_the_package_may_run(read: Page) -> None:
    policy = next(found for tag, found in read.elements if found.get("http-equiv"))["content"]
    assert policy is not None
    allowed = set(re.findall(r"'(sha256-[^']+)'", policy))
    run = [text for found, text in read.scripts if "type" not in found]
    assert {
        f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}" for text in run
    } == allowed
    assert policy.startswith("default-src 'none'")
    assert len(run) == 3


def test_nothing_is_loaded(read: Page) -> None:
    assert not [tag for tag, _ in read.elements if tag in ("link", "iframe", "object", "embed", "base")]
    assert read.values("script", "src") == []
    assert all(address.startswith("#") for address in read.values("a", "href"))


def test_what_screen_readers_need(read: Page) -> None:
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    keys = [found["id"] for _, found in read.elements if "id" in found]
    assert len(keys) == len(set(keys))
    assert {address[1:] for address in read.values("a", "href")} <= set(keys)
    assert set(read.values("section", "aria-labelledby")) | set(
        read.values("table", "aria-labelledby")
    ) <= set(keys)
    assert all(read.values("img", "alt"))
    charts = [found for _, found in read.elements if found.get("class") == "chart"]
    assert charts
    assert all(found["aria-label"] and found["role"] == "img" for found in charts)


def test_every_plot_has_its_numbers() -> None:
    plots = [
        block
        for part in make_chapters([make_run()])[0].parts
        for block in part.blocks
        if block.kind == "plot"
    ]
    assert {plot.name for plot in plots} == {
        "accuracy",
        "validation",
        "loss",
        "validation-loss",
        "reliability",
        "meyer-wallach",
        "entropy",
        "gradients",
    }
    curve = next(plot for plot in plots if plot.name == "validation").numbers()
    assert curve.headings == ("series", "of", "epoch", "validation accuracy (%)")
    assert curve.rows == (
        ("two-module", "", "1", "50"),
        ("two-module", "", "2", "66.6667"),
        ("two-module", "", "3", "75"),
        ("logistic (solved)", "", "all", "75"),
        ("kept epoch", "two-module", "2", "66.6667"),
    )
    assert curve.numeric == (False, False, True, True)
    dots = next(plot for plot in plots if plot.name == "accuracy").numbers()
    # Wilson's interval of 84 right answers of 88, from its formula.
    assert dots.rows[0] == (
        "heads",
        "95.4545",
        "two-module (long-range-reupload, 3 qubits)",
        "88.8883",
        "98.2184",
    )


def test_the_same_plot_gives_the_same_picture() -> None:
    first, second = (render(draw(next(draw_learning(make_run()))), "svg") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("classes", [["a", "b"], [f"intent {at}" for at in range(77)]])
def test_confusion(classes: list[Any]) -> None:
    part = next(part for part in make_chapters([make_run(classes)])[0].parts if part.key == "confusion-1")
    first = part.blocks[0]
    if len(classes) == 2:
        assert first.rows == (("a", "42", "2"), ("b", "2", "42"))
        assert first.shades == ((0.9545, 0.0455), (0.0455, 0.9545))
    else:
        assert first.headings == ("true", "predicted", "texts", "of the class")
        assert len(first.rows) == 20


def test_no_record(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds nothing to report"):
        build_report([tmp_path], tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
