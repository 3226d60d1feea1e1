"""Diagnoses, compressions, scaling studies and language models in a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hybridqies.circuit import load_recipe
from hybridqies.diagnostics import Survey, diagnose_all, plan_sizes
from hybridqies.energy import PUBLISHED, compare_energy, count_work, find_crossover
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.options import to_mapping
from hybridqies.records import write_lines, write_record
from hybridqies.report.html.chapters import make_chapters
from hybridqies.report.html.reading import Record, read_record_of


def blocks_of(record: Record) -> dict[str, tuple[Any, ...]]:
    return {part.key.removesuffix("-1"): part.blocks for part in make_chapters([record])[0].parts}


@pytest.fixture(scope="module")
def diagnosis() -> dict[str, Any]:
    """A diagnosis as the command prints it."""
    survey, varied = Survey(samples=20), {"layers": [1, 2]}
    planned = plan_sizes(load_recipe("strongly-entangling"), (2, 4), {}, varied)
    rows = [to_mapping(each) for each in diagnose_all(planned, survey)]
    return {
        "circuit": "strongly-entangling",
        "observable": "Z0",
        "vary": ["layers"],
        **to_mapping(survey),
        "rows": rows,
    }


def test_a_diagnosis(diagnosis: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "plateau.json"
    path.write_text(json.dumps(diagnosis))
    found = blocks_of(read_record_of(path))
    assert list(found) == ["trainability", "expressibility", "entanglement"]
    variance = found["trainability"][0]
    assert [each.name for each in variance.series] == ["layers = 1", "layers = 2", "random"]
    assert variance.y.log
    first = diagnosis["rows"][0]
    assert variance.series[0].y[0] == first["gradient_variance"]["value"]
    assert variance.series[2].y[0] == first["random_variance"]
    q, entropy = found["entanglement"]
    (spread,) = found["expressibility"]
    # One number of all draws: an interval of no width would claim that it is known exactly.
    assert not spread.has_intervals
    assert "95 %" not in spread.text
    assert variance.has_intervals
    assert q.series[0].y == tuple(row["meyer_wallach"]["value"] for row in diagnosis["rows"][:2])
    assert entropy.series[2].y[0] == first["entropy"]["random"]


@pytest.fixture(scope="module")
def energy() -> dict[str, Any]:
    """An estimate as the command prints it."""
    works = [count_work(load_recipe("rot-ring").build(n, {"layers": 3})) for n in (20, 30, 40, 50)]
    return {
        "circuit": "rot-ring",
        "shots": 1000,
        "gradients": False,
        "rows": [row.to_mapping() for row in compare_energy(works, 1000)],
        "crossover": to_mapping(find_crossover(works, 1000)),
        "published": list(PUBLISHED),
        "constants": {},
    }


def test_an_estimate_of_energy(energy: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    path.write_text(json.dumps(energy))
    plot, crossover, table, notes = blocks_of(read_record_of(path))["energy"]
    gpu, qpu, *published = plot.series
    assert gpu.y == tuple(row["gpu"] for row in energy["rows"])
    assert qpu.low == tuple(row["qpu_interval"][0] for row in energy["rows"])
    assert [each.x for each in published] == [(46.0, 46.0), (34.0, 34.0)]
    own, others = crossover.series
    found = energy["crossover"]
    assert (own.x, own.low, own.high) == ((found["value"],), (found["low"],), (found["high"],))
    assert (others.x, others.y) == ((46.0, 34.0), (1.0, 2.0))
    assert crossover.y.names[1:] == ("arXiv:2504.08732, estimated", "arXiv:2605.02798, measured")
    assert len(table.rows) == 4
    assert "needs more energy" in notes.items[0]


def test_a_crossover_beyond_the_sizes_is_said(energy: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    path.write_text(json.dumps(energy | {"crossover": {"value": 45.0, "low": 40.0, "high": "above"}}))
    own = blocks_of(read_record_of(path))["energy"][1].series[0]
    assert (own.high, own.name) == ((50.0,), "this estimate (above the sizes that were compared)")


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": []},
        {"rows": [3]},
        {"rows": [{"n_qubits": 3}]},
        {"crossover": {"value": 3.0}},
        {"published": [{"qubits": "46"}]},
        {"shots": "many"},
    ],
)
def test_a_damaged_estimate(damage: dict[str, Any], energy: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    path.write_text(json.dumps(energy | damage))
    with pytest.raises(
        InputError, match=r"cost\.json' cannot be reported .*; expected what `hybridqies cost"
    ):
        read_record_of(path)
    (row, *rows) = energy["rows"]
    path.write_text(json.dumps(energy | {"rows": [{**row, "gpu_interval": [1.0]}, *rows]}))
    with pytest.raises(InputError, match="'gpu_interval' is"):
        read_record_of(path)


def test_a_compression(tmp_path: Path) -> None:
    def arm(name: str, accuracy: float) -> dict[str, Any]:
        ends = {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1}
        costs = {"parameters": 1000, "layer_parameters": 100, "bytes": 4000, "texts_per_second": 10.0}
        return {"arm": name, "meaning": f"what {name} is", "accuracy": ends, "difference": ends, **costs}

    content = {
        "config": {"model": "encoder", "method": "svd"},
        "data": {"rows": {"test": 50}},
        "arms": [arm("untouched", 0.75), arm("svd", 0.5)],
        "profile": [],
    }
    (tmp_path / "compression.json").write_text(json.dumps(content))
    found = blocks_of(read_record_of(tmp_path))
    plot, table, notes = found["compression"]
    assert plot.y.names == ("untouched", "svd")
    assert (plot.series[0].x, plot.series[0].low) == ((0.75, 0.5), (0.65, 0.4))
    assert table.headings[0] == "arm"
    assert notes.items == ("untouched: what untouched is.", "svd: what svd is.")


def test_a_scaling_study(tmp_path: Path) -> None:
    def cell(arm: str, size: int, loss: float | None) -> dict[str, Any]:
        spread = {"n": 1, "mean": loss, "deviation": None, "low": None, "high": None}
        costs = {"n_parameters": size, "flops_per_token": 6 * size, "n_tokens": 4000}
        found: dict[str, Any] = {"loss": None if loss is None else spread, "bits_per_byte": spread}
        found |= dict.fromkeys(("training_seconds", "processor_seconds"), spread | {"mean": 1.0})
        return {"text": "t", "arm": arm, "size": f"{size}", "rates": {}, "errors": {}, **costs, **found}

    cells = [cell("real", 16000, 3.0), cell("real", 8000, 3.5), cell("tap", 8000, None)]
    plan = {"kind": "scale", "seeds": [0], "rates": [0.01]}
    result = {"kind": "scale", "plan": plan, "texts": {"t": {}}, "cells": cells, "trials": 3, "done": 2}
    result |= {"differences": [], "laws": []}
    write_record(tmp_path / "study.json", result)
    (tmp_path / "study.toml").write_text('kind = "scale"\n')
    found = blocks_of(read_record_of(tmp_path))
    plot, table = found["scaling"]
    assert [(each.name, each.x, each.y) for each in plot.series] == [
        ("t, real, 4000", (8000, 16000), (3.5, 3.0))
    ]
    assert len(table.rows) == 3
    assert [block.text for block in found["reproduce"]] == [
        "hybridqies scale run study.toml --out runs/again",
        'kind = "scale"\n',
    ]


def test_a_plan_that_is_no_text(tmp_path: Path) -> None:
    empty = {"plan": {}, "texts": {}, "cells": [], "trials": 0, "done": 0}
    write_record(tmp_path / "study.json", {"kind": "scale", **empty})
    (tmp_path / "study.toml").write_bytes(b"\xff")
    with pytest.raises(ModelFolderError, match=r"the plan '.*study\.toml' cannot be read"):
        read_record_of(tmp_path)


def test_a_language_model(tmp_path: Path) -> None:
    result = {
        "arm": "entangled",
        "n_parameters": 1000,
        "flops_per_token": 6000,
        "n_tokens": 4000,
        "tokens_per_second": 100.0,
        "validation_loss": 3.2,
        "test_loss": 3.25,
        "test_interval": [20.0, 30.0],
        "test_perplexity": 25.79,
        "test_bits_per_byte": 2.5,
        "entanglement": [{"block": 0, "stride": 1, "renyi2": 0.25}],
        "entanglement_before": [{"block": 0, "stride": 1, "renyi2": 0.5}],
    }
    write_record(tmp_path / "config.json", {"kind": "language model"})
    write_record(tmp_path / "result.json", result)
    history = [{"epoch": at, "train_loss": 4.0 / at, "validation_loss": 5.0 / at} for at in (1, 2)]
    write_lines(tmp_path / "metrics.jsonl", history)
    figures, plot, gates = blocks_of(read_record_of(tmp_path))["language"]
    assert ("perplexity", "25.790 [20.000, 30.000]") in figures.rows
    assert [(each.name, each.y) for each in plot.series] == [
        ("training", (4.0, 2.0)),
        ("validation", (5.0, 2.5)),
    ]
    assert gates.rows == (("1", "0.500 → 0.250"),)


def test_a_diagnosis_is_drawn_from_few_to_many_qubits(diagnosis: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "plateau.json"
    path.write_text(json.dumps(diagnosis | {"rows": diagnosis["rows"][::-1]}))
    plot = blocks_of(read_record_of(path))["trainability"][0]
    assert [each.x for each in plot.series] == [(2.0, 4.0)] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"n_qubits": "many"},
        {"n_qubits": 0},
        {"options": {}},
        {"entropy": 0.5},
        {"gradient_variance": {"value": 0.0, "error": 0.0, "moving": 1}},
        {"random_variance": None},
        None,
    ],
)
def test_a_damaged_row_of_a_diagnosis(
    changes: dict[str, Any] | None, diagnosis: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "file.json"
    rows = [] if changes is None else [diagnosis["rows"][0] | changes]
    path.write_text(json.dumps(diagnosis | {"rows": rows}))
    with pytest.raises(InputError, match=r"file\.json' cannot be reported \(.*\); expected what `hybridqies"):
        read_record_of(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("config", {}), ("arms", []), ("arms", [1, 2]), ("data", 1), ("profile", [{"name": "layer"}])],
)
def test_a_damaged_compression(name: str, value: Any, tmp_path: Path) -> None:
    ends = {"value": 0.5, "low": 0.4, "high": 0.6}
    arm = {"arm": "svd", "meaning": "", "accuracy": ends, "difference": ends, "parameters": 1}
    arm |= {"layer_parameters": 1, "bytes": 4, "texts_per_second": 1.0}
    config = {"model": "encoder", "method": "svd"}
    content = {"config": config, "data": {"rows": {"test": 5}}, "arms": [arm, arm], "profile": []}
    path = tmp_path / "compression.json"
    path.write_text(json.dumps(content))
    assert blocks_of(read_record_of(tmp_path))
    path.write_text(json.dumps(content | {name: value}))
    with pytest.raises(
        InputError, match=r"compression\.json' cannot be reported \(.*\); expected what `compr"
    ):
        read_record_of(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"circuit": "iqp"}', '{"circuit": NaN}'])
def test_a_file_that_is_no_diagnosis(content: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(
        InputError, match=r"file\.json' cannot be reported .*; expected what `hybridqies diagnose"
    ):
        read_record_of(path)
