"""The page in a real browser: no errors, no requests, no sideways scrolling; scripts in data do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as started:
        yield started


@pytest.fixture(scope="module")
def path(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page(browser: Chromium, path: Path, width: int, dark: bool) -> None:
    browser.open(path, width, 20_000, dark=dark)
    assert browser.run("document.querySelectorAll('.chart .main-svg').length") >= 6
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert browser.requests == []
    # An image that an attack made would have another source.
    assert browser.run("[...document.images].filter(each => !each.src.startsWith('data:')).length") == 0
    light = browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(253, 252, 249)"
    assert light != dark


def test_the_theme_can_be_changed(browser: Chromium, path: Path) -> None:
    browser.open(path)
    browser.run("localStorage.clear()")
    browser.open(path)
    before = browser.run("getComputedStyle(document.body).color")
    browser.run("document.getElementById('theme').click()")
    assert browser.run("getComputedStyle(document.body).color") != before
    assert browser.run("document.getElementById('theme').textContent") == "Light"
    browser.run("localStorage.clear()")
    assert browser.complaints == []


def test_without_scripts_there_are_pictures(browser: Chromium, path: Path) -> None:
    seen = "[...document.querySelectorAll('.still')].filter(each => each.offsetHeight > 50).length"
    browser.open(path)
    assert browser.run(seen) == 0
    browser.open(path, media="print")
    assert browser.run(seen) == browser.run("document.querySelectorAll('.still').length") > 0
    assert browser.run("document.querySelector('.chart').offsetHeight") == 0


def test_tables_are_saved_as_csv(browser: Chromium, path: Path) -> None:
    browser.open(path)
    browser.run(
        "URL.createObjectURL = blob => { window.saved = blob; return '#'; };"
        "document.querySelector('#record-2 button.csv').click()"
    )
    lines = browser.run("saved.text()").split("\r\n")
    assert lines[0].startswith("head,trained parameters,validation accuracy,test accuracy,95 % interval")
    assert lines[1].startswith('"two-module (long-range-reupload, 3 qubits)","1,234",50.00 %,95.45 %')
