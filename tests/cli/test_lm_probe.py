"""`hybridqies lm probe`: a record, a table and a picture; a run that was interrupted goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli.program import Say

from hybridqies.cli.app import run
from hybridqies.compression.perplexity import mean_interval
from hybridqies.errors import InputError
from hybridqies.probes import ProbePlan
from hybridqies.probes.measure import run_cell
from hybridqies.records import read_record
from hybridqies.report.probes import cells_of
from hybridqies.runs.probing import probe_language_models

FAST = ("--sizes", "5k", "--steps", "10", "--batch-size", "4", "--sequences", "40")


def test_an_interrupted_run_goes_on_with_the_same_rows(tmp_path, say: Say, monkeypatch) -> None:
    given = ("lm", "probe", "--probes", "copy-3,recall-2", "--arms", "tap", "--seeds", "2", *FAST)
    whole = json.loads(say(*given, "--out", tmp_path / "whole", "--json")[0])
    from hybridqies.probes import measure

    done: list[Any] = []

    def stop(plan: Any, cell: Any, *more: Any) -> Any:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(cell)
        return run_cell(plan, cell, *more)

    with monkeypatch.context() as patch:
        patch.setattr(measure, "run_cell", stop)
        assert run([*map(str, given), "--out", str(tmp_path / "cut"), "--json"]) == 130
    assert len(read_record(tmp_path / "cut" / "probes.json")["rows"]) == 3
    with monkeypatch.context() as patch:
        ran: list[Any] = []
        patch.setattr(measure, "run_cell", lambda *given: ran.append(given[1]) or run_cell(*given))
        again = json.loads(say(*given, "--out", tmp_path / "cut", "--json")[0])
        assert [cell["seed"] for cell in ran] == [1]
    for record in (whole, again):
        for row in record["rows"]:
            del row["seconds"]
    assert again == whole
    shown, _ = say(*given, "--out", tmp_path / "cut")
    cell = cells_of(whole)["recall-2", "tap", "5k"]
    found = mean_interval([row["accuracy"] for row in whole["rows"] if row["probe"] == "recall-2"])
    assert (cell.accuracy, cell.low) == (found.value, max(0.0, found.low))
    assert f"{100 * cell.accuracy:.1f}" in shown
    assert "t over 2 seeds" in shown
    assert (tmp_path / "cut" / "probes.png").read_bytes().startswith(b"\x89PNG")
    other = [*map(str, given), "--lr", "0.1", "--out", str(tmp_path / "cut")]
    assert run(other) == 2


def test_rows_of_another_device_are_not_continued(tmp_path) -> None:
    plan = ProbePlan(("copy-3",), ("real",), ("5k",), steps=10, batch_size=2, sequences=10)
    probe_language_models(plan, tmp_path)
    with pytest.raises(InputError, match="another plan or device"):
        probe_language_models(plan, tmp_path, device="cuda")
