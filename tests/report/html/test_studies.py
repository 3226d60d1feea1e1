"""Sections of studies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from report.html.records import HOSTILE
from report.html.studies import N_TEST, make_screen, make_sweep, write_study

from hybridqies.backends import load_backend
from hybridqies.circuit import load_circuit
from hybridqies.circuit.draw import summary
from hybridqies.errors import InputError
from hybridqies.report.html.chapters import make_chapters
from hybridqies.report.html.interactive import to_plotly
from hybridqies.report.html.plots import Plot, Shape
from hybridqies.report.html.reading import read_record_of
from hybridqies.report.html.records import StudyRecord
from hybridqies.report.html.sections.cells import draw_metric
from hybridqies.report.html.still import draw
from hybridqies.study.layout import config_of
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.tasks import digest_circuits
from hybridqies.tasks.building import build_head_of


def blocks_of(study: StudyRecord) -> dict[str, tuple[Any, ...]]:
    return {part.key.removesuffix("-1"): part.blocks for part in make_chapters([study])[0].parts}


def test_a_line_goes_from_few_to_many_qubits() -> None:
    """In whatever order `--qubits` named them."""
    study = make_sweep()
    turned = replace(study, result={**study.result, "cells": study.result["cells"][::-1]})
    (plot,) = draw_metric(turned)
    assert {each.name: each.x for each in plot.series}["dressed"] == (2.0, 4.0)


def test_a_sweep_against_qubits() -> None:
    study = make_sweep()
    found = blocks_of(study)
    assert list(found) == ["comparison", "metric", "differences", "confusion", "cost", "trials", "reproduce"]
    (plot,) = found["metric"]
    assert [(each.name, each.shape, each.x) for each in plot.series] == [
        ("logistic", Shape.LEVEL, (0.0,)),
        ("two-module", Shape.LINE, (2.0, 4.0)),
        ("dressed", Shape.LINE, (2.0, 4.0)),
    ]
    cell = next(cell for cell in study.result["cells"] if cell["label"] == "two-module, 4 qubits")
    line = plot.series[1]
    assert line.y[1] == 100 * cell["accuracy"]["mean"]
    assert (line.low[1], line.high[1]) == (100 * cell["accuracy"]["low"], 100 * cell["accuracy"]["high"])
    rows = dict(
        zip(found["comparison"][1].headings, zip(*found["comparison"][1].rows, strict=True), strict=True)
    )
    assert rows["arm"] == ("logistic", "two-module", "two-module", "dressed", "dressed")
    assert rows["converged"] == ("3/3",) * 5


def test_a_sweep_at_one_number_of_qubits_is_a_row_of_intervals() -> None:
    (plot,) = blocks_of(make_sweep(qubits=(4,)))["metric"]
    assert plot.y.names == ("logistic", "two-module, 4 qubits", "dressed, 4 qubits")
    assert [(each.name, len(each.x)) for each in plot.series] == [
        ("each seed", 9),
        ("mean and 95 % interval", 3),
    ]


def test_one_seed_has_no_intervals() -> None:
    (plot,) = blocks_of(make_sweep(qubits=(4,), n_seeds=1))["metric"]
    (means,) = plot.series
    assert means.low == (None, None, None)
    assert to_plotly(plot)["data"][0]["error_x"]["array"] == [0, 0, 0]
    assert draw(plot).axes[0].get_lines()


def test_differences_are_those_of_the_study() -> None:
    study = make_sweep(qubits=(4,), n_seeds=12)
    (plot,) = blocks_of(study)["differences"]
    compared = study.result["comparisons"]
    shown = [each["verdict"] in ("better", "worse") for each in compared]
    assert shown == [True, True]
    assert [each.name for each in plot.series] == ["a difference was shown", "no difference"]
    assert plot.series[0].x == tuple(100 * each["over_seeds"]["difference"]["mean"] for each in compared)


def test_confusion_is_summed_over_seeds() -> None:
    study = make_sweep(classes=tuple(HOSTILE))
    best, others = blocks_of(study)["confusion"]
    assert best.caption.startswith("dressed")
    assert len(others.tables) == 4
    counts = [[int(cell.replace(",", "")) for cell in row[1:]] for row in best.rows]
    assert sum(map(sum, counts)) == 3 * N_TEST
    cell = max(study.result["cells"], key=lambda each: each["accuracy"]["mean"])
    assert sum(counts[at][at] for at in range(3)) == round(sum(cell["accuracies"].values()) * N_TEST)


def with_trials(study: StudyRecord, **changes: Any) -> StudyRecord:
    """The study with fields of every trial of a head with a circuit changed, or in `trial` added to."""

    def changed(record: TrialRecord) -> TrialRecord:
        own: dict[str, Any] = {name: value(record) for name, value in changes.items()}
        if "trial" in own:
            own["trial"] = {**record.trial, **own["trial"]}
        return replace(record, **own)

    return replace(study, trials=tuple(changed(record) for record in study.trials))


def test_calibration_is_summed_over_seeds() -> None:
    study = make_sweep(qubits=(4,))

    def bins(record: TrialRecord) -> tuple[dict[str, float], ...]:
        seed, half = record.trial["seed"], {"n": 100, "confidence": 0.55, "accuracy": 0.5}
        return (half, {"n": 100, "confidence": 0.9, "accuracy": 0.7 + 0.1 * seed})

    assert "calibration" not in blocks_of(study)
    missing = make_chapters([study])[0].missing
    assert [(each.name, "earlier versions" in each.needs) for each in missing] == [("calibration", True)]
    _, plot, table = blocks_of(with_trials(study, reliability=bins))["calibration"]
    assert [each.name for each in plot.series][:2] == ["dressed, 4 qubits", "two-module, 4 qubits"]
    # The seeds are right in 70, 80 and 90 % of the upper bin.
    assert plot.series[0].x == pytest.approx((55, 90))
    assert plot.series[0].y == pytest.approx((50, 80))
    assert plot.series[0].notes == ("300 texts", "300 texts")
    # Half the texts are off by 5 points, the others by 10.
    assert table.rows[0] == ("dressed, 4 qubits", "7.50 %", "3")
    some = with_trials(study, reliability=lambda record: bins(record) if record.trial["seed"] else ())
    *_, notes = blocks_of(some)["calibration"]
    assert notes.items == ("3 trial(s) of an earlier version did not record their bins.",)


def digest_of_design(record: TrialRecord) -> dict[str, str]:
    trial = Trial.from_mapping(record.trial)
    head = build_head_of(config_of(trial).spec(), 8, 2, load_backend("statevector"), 0)
    return {"circuits": digest_circuits(head)}


def test_the_smallest_and_the_largest_circuits_are_drawn() -> None:
    study = make_sweep(qubits=(2, 3, 4), arms=("logistic", "dressed", "dressed:rot-ring"))
    assert "circuits" not in blocks_of(study)
    begun = with_trials(study, trial=digest_of_design, n_inputs=lambda _: 8)
    _, *pictures = blocks_of(begun)["circuits"]
    assert [picture.caption for picture in pictures] == [
        "dressed, 2 qubits: circuit long-range-reupload",
        "dressed, 4 qubits: circuit long-range-reupload",
        "dressed:rot-ring, 2 qubits: circuit rot-ring",
        "dressed:rot-ring, 4 qubits: circuit rot-ring",
    ]
    assert summary(load_circuit("long-range-reupload", 4)) in pictures[1].text
    assert summary(load_circuit("rot-ring", 2)) in pictures[2].text
    assert pictures[3].text.startswith("Drawing of the circuit: rot-ring: 4 qubits")
    # Studies of earlier versions do not say how wide what heads read is.
    old = make_chapters([with_trials(study, trial=digest_of_design)])[0]
    assert [each.name for each in old.missing] == ["calibration", "circuits"]


def test_a_recipe_that_was_edited_since_is_not_drawn() -> None:
    study = make_sweep(qubits=(2,), arms=("logistic", "dressed"))
    edited = with_trials(study, trial=lambda record: {"circuits": "x" * bool(record.trial["n_qubits"])})
    edited = with_trials(edited, n_inputs=lambda _: 8)
    _, notes = blocks_of(edited)["circuits"]
    (note,) = notes.items
    assert note.startswith("dressed: not drawn: the circuits of arm 'dressed' are not those that the study")


def test_drawings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridqies.report.html.sections.circuits._MOST_GATES", 1)
    monkeypatch.setattr("hybridqies.report.html.sections.circuits._WIDEST", 3)
    study = make_sweep(qubits=(2, 3, 4), arms=("logistic", "dressed"))
    study = with_trials(study, trial=digest_of_design, n_inputs=lambda _: 8)
    _, picture, notes = blocks_of(study)["circuits"]
    assert picture.caption.startswith("dressed, 2 qubits")
    (note,) = notes.items
    assert note.startswith("dressed, 3 qubits: circuit long-range-reupload: 3 qubits")


def test_every_trial_is_a_row() -> None:
    study = make_sweep()
    (table,) = blocks_of(study)["trials"]
    assert len(table.rows) == 15
    accuracies = {
        (cell["label"], seed): value
        for cell in study.result["cells"]
        for seed, value in cell["accuracies"].items()
    }
    at = table.headings.index("test accuracy")
    assert all(row[at] == f"{100 * accuracies[row[0], row[1]]:.2f}" for row in table.rows)


def test_a_screen() -> None:
    study = make_screen()
    found = blocks_of(study)
    assert list(found) == ["comparison", "effects", "trials", "reproduce"]
    effects, half_normal = found["effects"]
    assert [each.name for each in effects.series] == [
        "active (Holm, 5 %)",
        "not shown to be active",
        "no effect",
    ]
    assert effects.y.names[0] == "layers"
    assert effects.series[0].x == pytest.approx([30], abs=0.5)
    # The line of noise goes through the origin with the standard error for a slope.
    noise = half_normal.series[-1]
    screening = study.result["screening"]
    assert noise.y[1] / noise.x[1] == pytest.approx(100 * screening["effects"][0]["standard_error"])
    labels = {row[0] for row in found["trials"][0].rows}
    assert labels == {cell["label"] for cell in study.result["cells"]}


def test_a_screen_that_could_not_be_judged() -> None:
    study = make_screen()
    unjudged = replace(study, result={**study.result, "screening": None, "unjudged": "for a reason"})
    assert "effects" not in blocks_of(unjudged)


def test_every_plot_can_be_drawn_both_ways() -> None:
    plots = [
        block
        for study in (make_sweep(), make_screen())
        for blocks in blocks_of(study).values()
        for block in blocks
        if isinstance(block, Plot)
    ]
    for plot in plots:
        named = [trace for trace in to_plotly(plot)["data"] if trace.get("showlegend", True)]
        assert len(named) == len(plot.series)
        figure = draw(plot)
        assert len(plot.series) == 1 or len(figure.legends[0].get_texts()) == len(plot.series)


def test_a_folder_is_read_as_it_was_written(tmp_path: Any) -> None:
    study = make_sweep()
    write_study(study, tmp_path / "films")
    read = read_record_of(tmp_path / "films")
    assert isinstance(read, StudyRecord)
    assert blocks_of(read) == blocks_of(study)
    # Read again: nothing was written while it was read.
    assert sorted(path.name for path in (tmp_path / "films").iterdir()) == [
        "study.json",
        "study.toml",
        "trials.jsonl",
        "trials.lock",
    ]


def test_a_study_that_has_not_finished(tmp_path: Any) -> None:
    (tmp_path / "study.toml").write_text('kind = "sweep"\n')
    with pytest.raises(
        InputError, match=r"has not finished; expected study\.json; continue it with --resume"
    ):
        read_record_of(tmp_path)
