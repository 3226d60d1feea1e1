"""The report of a scaling study from made-up records: verdicts in words, a table, and a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from rich.console import Console

from hybridqies.lm import count_flops, count_parameters
from hybridqies.report.studies import report_of
from hybridqies.report.studies.scale_plots import _points
from hybridqies.study.decoders import summary
from hybridqies.study.decoders.summary import compare_arms, fit_laws, summarise_cells
from hybridqies.study.decoders.trial import DecoderRecord, DecoderTrial
from hybridqies.study.kinds.scale import ScalePlan, scale_trials, summarise
from hybridqies.study.trials.journal import JournalState
from hybridqies.study.trials.outcome import TrialFailure

FACTORS = {"real@65k": 1.3, "tap": 1.0, "entangled": 0.9, "complex@246k": 1.2}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> ScalePlan:
    path = tmp_path_factory.mktemp("text") / "book.txt"
    path.write_text("the quick brown fox jumps over the lazy dog " * 180)
    return ScalePlan(arms=tuple(FACTORS), texts={"book": {"train": str(path)}}, rates=(0.001, 0.003, 0.009))


def record_of(trial: DecoderTrial, shape: Any, draw: np.random.Generator) -> DecoderRecord:
    n_parameters = count_parameters(shape)
    loss = 1.3 + FACTORS[trial.arm] * 14 * n_parameters**-0.25 + 0.002 * draw.standard_normal()
    curve = tuple(
        {"tokens": 200_000 * part, "train_loss": loss, "validation_loss": loss + 0.5 / part, "seconds": part}
        for part in range(1, 6)
    )
    test = {"loss": loss, "bits_per_byte": loss / np.log(2)}
    validation = {"loss": loss, "accuracy": 0.3}
    chosen = {"learning_rate": trial.rates[trial.seed % 2]}
    costs = (n_parameters, count_flops(shape), trial.model.n_tokens)
    return DecoderRecord(
        trial.key, trial.to_mapping(), chosen, (), validation, test, *costs, curve, 20.0, 19.0, 30.0
    )


@pytest.fixture(scope="module")
def state(plan: ScalePlan) -> JournalState[DecoderRecord]:
    context, draw = plan.source.load(), np.random.default_rng(0)
    trials = scale_trials(plan, context)
    records = {
        trial.key: record_of(trial, context.shape(trial.text, trial.model), draw) for trial in trials[:-1]
    }
    lost = TrialFailure(trials[-1].key, trials[-1].to_mapping(), "it burnt", 1.0)
    return JournalState(context.describe(plan.seeds), records=records, failures={lost.key: lost})


def test_table_verdicts_and_picture(
    plan: ScalePlan, state: JournalState[DecoderRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One bootstrap an arm is enough here.
    monkeypatch.setattr(fit_laws, "__defaults__", (50,))
    monkeypatch.delitem(summary.COSTS, "operations")
    result = summarise(plan, scale_trials(plan, plan.source.load()), state)
    assert (result["done"], result["failed"], result["trials"]) == (29, 1, 30)
    report = report_of("scale")
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report.table(result), *report.notes(result))
    said = " ".join(captured.get().split())
    assert "book: entangled − tap at equal size, over 4 sizes: −0.0" in said
    assert "entangled is better" in said
    assert "real@65k is worse" in said
    assert "book, at equal parameters: entangled against tap: " in said
    assert "the offset differs" in said
    assert "had the smallest or largest of the rates" in said
    assert "Failed: book, entangled, 2.25M, seed 2: it burnt" in said
    report.write_plot(result, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_finished_is_no_picture(plan: ScalePlan, tmp_path: Path) -> None:
    trials = scale_trials(plan, plan.source.load())
    about = plan.source.load().describe(plan.seeds)
    result = summarise(plan, trials, JournalState(about))
    report = report_of("scale")
    report.write_plot(result, tmp_path / "scale.png")
    assert not (tmp_path / "scale.png").exists()
    assert report.table(result).row_count == 10
    assert (result["differences"], result["laws"]) == ([], [])


def test_an_arm_at_one_size_is_compared_and_has_no_law(
    plan: ScalePlan, state: JournalState[DecoderRecord]
) -> None:
    cells = summarise_cells(scale_trials(plan, plan.source.load()), state)
    found = {(each["arm"], each["basis"]): each for each in compare_arms(cells, "tap")}
    assert found["complex@246k", "size"]["sizes"] == ["246k"]
    (own,) = (cell for cell in cells if cell["arm"] == "complex@246k")
    expected = 0.2 * 14 * own["n_parameters"] ** -0.25
    assert found["complex@246k", "parameters"]["mean"]["value"] == pytest.approx(expected, abs=0.01)
    assert ("real@65k", "parameters") not in found
    assert found["entangled", "parameters"]["left_out"] == ["2.25M"]
    # Of the largest size one seed failed; the others still count.
    assert found["entangled", "size"]["mean"]["value"] < -0.04


def test_three_numbers_of_tokens_give_a_law_of_both() -> None:
    truth = {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}
    cells = [
        {
            "text": "book",
            "arm": "tap",
            "size": str(size),
            "planned_tokens": tokens,
            "n_tokens": tokens,
            "n_parameters": size,
            "flops_per_token": 2 * size,
            "losses": {"0": 1.69 + 406.4 * size**-0.34 + 410.7 * tokens**-0.28},
        }
        for size in (10**5, 3 * 10**5, 10**6, 3 * 10**6)
        for tokens in (10**6, 4 * 10**6, 16 * 10**6)
    ]
    by_parameters, by_operations = fit_laws(cells, "tap", 50)
    (arm,) = by_parameters["fit"]["arms"]
    assert {name: arm["values"][name]["value"] for name in truth} == pytest.approx(truth, rel=1e-4)
    assert arm["values"]["a_opt"]["value"] == pytest.approx(0.28 / 0.62, rel=1e-4)
    (other,) = by_operations["fit"]["arms"]
    assert other["values"]["A"]["value"] == pytest.approx(406.4 * 2**0.34, rel=1e-4)


def test_one_seed_has_no_interval_in_the_picture() -> None:
    """A bar of no length would claim that the loss is known exactly."""
    axes = Figure().subplots()
    cells = [{"loss": {"mean": 2.0, "high": high}, "n": n} for n, high in ((1, None), (2, 2.5))]
    _points(axes, cells, lambda cell: cell["n"], {})
    (bars,) = axes.collections
    assert isinstance(bars, LineCollection)
    lengths = [segment[1][1] - segment[0][1] for segment in bars.get_segments() if len(segment)]
    assert [length for length in lengths if not math.isnan(length)] == [1.0]
