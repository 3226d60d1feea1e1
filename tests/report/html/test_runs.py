"""Sections of runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from report.html.records import HOSTILE, make_run

from hybridqies.report.html.chapters import make_chapters
from hybridqies.report.html.plots import GREY
from hybridqies.report.html.records import RunRecord


def blocks_of(run: RunRecord) -> dict[str, tuple[Any, ...]]:
    return {part.key.removesuffix("-1"): part.blocks for part in make_chapters([run])[0].parts}


def test_calibration() -> None:
    _, plot, table = blocks_of(make_run())["calibration"]
    assert [each.name for each in plot.series] == ["two-module", "logistic", "as sure as right"]
    assert (plot.series[0].x, plot.series[0].y) == ((60.0, 90.0), (50.0, 95.0))
    assert plot.series[0].notes == ("30 texts", "54 texts")
    assert (plot.series[2].style, plot.series[2].x) == (GREY, (60.0, 100.0))
    assert table.rows[0] == ("two-module", "10.00 %", "0.2500")


def test_cost() -> None:
    cost, circuits, formulas = blocks_of(make_run())["cost"]
    assert cost.rows == (
        ("two-module", "1,234", "3", "1.5", "123", "5,000,000", "NVML GPU 0 40 J"),
        ("logistic", "1,234", "1", "1.5", "", "", "not measured"),
    )
    assert circuits.rows[0][:3] == ("circuit", "long-range-reupload", "3")
    assert formulas.rows[0] == ("two-module", "9 * 9")


def test_mistakes() -> None:
    _, own, others = blocks_of(make_run())["mistakes"]
    assert own.caption == "two-module: 4 of 88 texts were misclassified"
    assert own.rows[0] == (HOSTILE[0], "bad", "good", "90.00 %", "5.00 %", "1 of 1")
    assert [table.name for table in others.tables] == ["mistakes-logistic"]


def test_verdicts_on_the_same_texts() -> None:
    run = make_run()
    own, other = run.arms
    assert own.mistakes is not None
    # Nine texts that the other alone has wrong: p = 2 / 2**9.
    worse = replace(other, mistakes={**own.mistakes, "wrong": list(range(13))})
    *_, notes = blocks_of(replace(run, arms=(own, worse)))["comparison"]
    said = (
        "two-module against logistic on the same 88 texts: better (alone right 9 times against 0, p = 0.00391"
    )
    assert any(note.startswith(said) for note in notes.items)
    *_, notes = blocks_of(replace(run, arms=(own, replace(other, mistakes=own.mistakes))))["comparison"]
    assert any(
        "no difference was shown (alone right 0 times against 0, p = 1" in note for note in notes.items
    )


def test_what_an_earlier_version_did_not_record_is_named() -> None:
    run = make_run()
    old = [replace(arm, mistakes=None, result={**arm.result, "reliability": None}) for arm in run.arms]
    chapter = make_chapters([replace(run, arms=tuple(old))])[0]
    assert [section.name for section in chapter.missing] == ["calibration", "mistakes"]
    assert {"calibration-1", "mistakes-1"}.isdisjoint(part.key for part in chapter.parts)
