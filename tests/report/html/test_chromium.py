"""The page in a real browser: no errors, no requests, no sideways scrolling; scripts in data do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium
from report.html.records import HOSTILE, make_run

from hybridqies.report.html import render_page

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    run = make_run(list(HOSTILE), head=HOSTILE[1], data=HOSTILE[0], verdicts=[HOSTILE[2]])
    path.write_text(render_page([run, make_run()]), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page(browser: Chromium, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, 20_000, dark=dark)
    assert browser.run("document.querySelectorAll('.chart .main-svg').length") >= 6
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert browser.requests == []
    # An image that an attack made would have another source.
    assert browser.run("[...document.images].filter(each => !each.src.startsWith('data:')).length") == 0
    light = browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(253, 252, 249)"
    assert light != dark


def test_the_theme_can_be_changed(browser: Chromium, page: Path) -> None:
    browser.open(page)
    browser.run("localStorage.clear()")
    browser.open(page)
    before = browser.run("getComputedStyle(document.body).color")
    browser.run("document.getElementById('theme').click()")
    assert browser.run("getComputedStyle(document.body).color") != before
    assert browser.run("document.getElementById('theme').textContent") == "Light"
    browser.run("localStorage.clear()")
    assert browser.complaints == []


def test_without_scripts_there_are_pictures(browser: Chromium, page: Path) -> None:
    seen = "[...document.querySelectorAll('.still')].filter(each => each.offsetHeight > 50).length"
    browser.open(page)
    assert browser.run(seen) == 0
    browser.open(page, media="print")
    assert browser.run(seen) == browser.run("document.querySelectorAll('.still').length") > 0
    assert browser.run("document.querySelector('.chart').offsetHeight") == 0


def test_tables_are_saved_as_csv(browser: Chromium, page: Path) -> None:
    browser.open(page)
    browser.run(
        "URL.createObjectURL = blob => { window.saved = blob; return '#'; };"
        "document.querySelector('#record-2 button.csv').click()"
    )
    lines = browser.run("saved.text()").split("\r\n")
    assert lines[0].startswith("head,trained parameters,validation accuracy,test accuracy,95 % interval")
    assert lines[1].startswith('"two-module (long-range-reupload, 3 qubits)","1,234",50.00 %,95.45 %')
