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


def test_entanglement_before_and_after() -> None:
    q, entropy, table, notes = blocks_of(make_run())["entanglement"]
    lines = {each.name: each for each in q.series}
    # Of circuits side by side the mean is drawn, and each has a row of its own.
    assert (lines["encoders, before training"].x, lines["encoders, before training"].y) == (
        (50.0, 100.0),
        (0.5, 0.5),
    )
    assert lines["circuit, after training"].x == (25.0, 100.0)
    assert lines["circuit, after training"].y == (0.25, 1.0)
    assert lines["random states of 4 qubits"].y == (0.5,)
    assert lines["random states of 3 qubits"].style == GREY
    assert entropy.series[3].y == (0.5, 2.0)
    assert [row[:4] for row in table.rows][1:3] == [
        ("encoders", "0", "4", "8 of 8"),
        ("encoders", "1", "4", "4 of 8"),
    ]
    assert "up to 64 validation texts" in notes.items[0]


def test_gradients_beside_random_ones() -> None:
    plot, table, notes = blocks_of(make_run())["trainability"]
    random, before, after, two_design = plot.series
    assert plot.y.names == ("encoders, Z0", "circuit, Z0")
    # Where no weight moves the observable there is nothing to draw.
    assert (random.x, random.y, random.low) == ((0.125,), (0.0,), (0.125 - 1.96 * 0.001,))
    assert (before.x, after.x) == ((0.25,), (0.00125,))
    # An end below zero has no place on a logarithmic axis.
    assert (after.low, after.high) == ((None,), (None,))
    assert (two_design.x, two_design.y) == ((0.0625, 0.0625), (0.0, 1.0))
    assert table.rows[1][3:] == ("0 of 12", "0", "0", "0", "6.2e-2")
    assert notes.items[0] == (
        "encoders: mean squares of gradients, as multiples of a 2-design's: 2 with random angles; "
        "4 with untrained weights, on texts; 0.02 with trained weights, on texts."
    )
    assert notes.items[1] == "circuit: no weight moves an observable."


def test_a_run_that_was_not_diagnosed_says_how_it_is() -> None:
    run = replace(make_run(), diagnosis=None)
    chapter = make_chapters([run])[0]
    missing = [(section.name, section.needs) for section in chapter.missing]
    needs = "what hybridqies diagnose records, given the folder of the run"
    assert missing == [("entanglement", needs), ("trainability", needs)]
    assert make_chapters([replace(run, circuits={})])[0].missing == ()
