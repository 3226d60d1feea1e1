"""The linearly separable task: its rows are what they are said to be, and a small comparison runs through."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scripts import BENCHMARKS, InThisProcess
from study.studies import parts_of

SCRIPT = BENCHMARKS / "separable.py"
DIMENSIONS = (2, 7, 20)


@pytest.fixture(scope="module")
def separable() -> Iterator[Any]:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("separable", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["separable"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["separable"]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_rows_keep_their_margin_on_the_side_that_their_label_says(separable: Any, dimension: int) -> None:
    rows, labels = separable.separable(dimension, 3000, seed=1)
    assert rows.shape == (3000, dimension)
    assert float(rows.abs().max()) <= 1
    sums = rows.double().sum(dim=1)
    assert float(sums.abs().min()) > 0.02 * dimension
    assert labels == (sums > 0).int().tolist()
    # Five deviations of 3,000 fair coins, and of the mean of 3,000 uniform numbers.
    assert abs(np.mean(labels) - 0.5) < 5 * 0.5 / 3000**0.5
    assert float(rows.mean(dim=0).abs().max()) < 5 * 3**-0.5 / 3000**0.5


def test_rows_are_a_function_of_dimension_and_seed(separable: Any) -> None:
    rows, labels = separable.separable(5, 100, seed=1)
    again, same = separable.separable(5, 100, seed=1)
    assert torch.equal(rows, again)
    assert labels == same
    assert not torch.equal(rows, separable.separable(5, 100, seed=2)[0])


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_a_plane_separates_them(separable: Any, dimension: int) -> None:
    from sklearn.svm import SVC

    rows, labels = separable.separable(dimension, 300, seed=3)
    assert SVC(kernel="linear", C=1e6).fit(rows.numpy(), labels).score(rows.numpy(), labels) == 1.0


def test_a_job_is_a_balanced_draw_and_the_rest_for_testing(separable: Any) -> None:
    job = separable.Job("reupload", dimension=4, seed=2, rows=240, budget=1, epochs=1)
    context = job.context()
    splits = parts_of(context, 2)
    assert torch.bincount(splits.train.labels).tolist() == [96, 96]
    assert torch.bincount(splits.validation.labels).tolist() == [24, 24]
    assert len(context.test_places(2)) == separable.TEST_ROWS
    trial = job.trial(context)
    assert (trial.head, trial.n_qubits, trial.seed) == ("reupload", 2, 2)


def test_every_arm_searches_as_much(separable: Any) -> None:
    jobs = [separable.Job(arm, 2, 0, 40, 3, 1) for arm in separable.ARMS]
    planned = [job.trial(job.context()) for job in jobs]
    assert {trial.budget for trial in planned} == {3}
    assert all(trial.space for trial in planned)


def test_a_small_comparison(
    separable: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arms = ["svc", "reupload", "reupload-product"]
    words = ["--dimensions", "2", "4", "--seeds", "2", "--budget", "2", "--epochs", "5", "--arms", *arms]
    words += ["--out", str(tmp_path), "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["separable.py", *words])
    monkeypatch.setattr(separable, "ProcessPoolExecutor", InThisProcess)
    separable.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == arms
    files = sorted(tmp_path.iterdir())
    assert len(files) == 12
    before = [file.stat().st_mtime_ns for file in files]
    monkeypatch.setattr(sys, "argv", ["separable.py", *words, "--json"])
    separable.main()
    assert [file.stat().st_mtime_ns for file in files] == before
    rows = json.loads(capsys.readouterr().out)
    assert [row["arm"] for row in rows] == arms
    assert rows[0]["published"] == 0.991
    for row in rows:
        assert list(row["by_dimension"]) == ["2", "4"]
        assert row["accuracy"]["n"] == 2
        assert row["accuracy"]["mean"] == pytest.approx(np.mean(list(row["by_dimension"].values())))
    assert rows[0]["accuracy"]["mean"] > 0.9
