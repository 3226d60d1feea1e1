"""Peaks of memory against sums by hand, and costs of arms beside each other."""

from __future__ import annotations

import json

import pytest
import torch
from cli.program import Say

from hybridqies.analysis.costs import measure_costs, measure_peak
from hybridqies.cli.app import run
from hybridqies.errors import InputError
from hybridqies.lm import config_of_arm, count_flops, count_parameters

SIZES = {"width": 16, "n_layers": 2, "rank": 2}


def test_peaks_are_those_of_what_is_alive_at_once():
    whole = torch.zeros(100, 100)
    size = 40_000
    assert measure_peak(lambda: torch.zeros(100, 100) + 1) == 2 * size
    assert measure_peak(lambda: [whole.exp() for _ in range(4)]) == 4 * size
    # Each result is freed before the next, and their sums of 4 bytes stay.
    assert measure_peak(lambda: [whole.exp().sum() for _ in range(4)]) == size + 4 * 4
    assert measure_peak(lambda: whole.add_(1)) == 0
    assert measure_peak(lambda: whole.view(-1)[3:]) == 0
    leaf = torch.zeros(100, 100, requires_grad=True)
    # The square is freed once its exponential is there. The backward pass has that and two gradients.
    assert 3 * size <= measure_peak(lambda: (leaf * leaf).exp().sum().backward()) <= 3 * size + 64


def test_costs_are_those_of_formulas_and_memory_grows_with_the_batch():
    configs = {arm: config_of_arm(arm, 4000, 11, 16, SIZES) for arm in ("real", "entangled")}
    small, large = (measure_costs(configs, batch_size=size, rounds=1) for size in (2, 8))
    for row, wide, config in zip(small, large, configs.values(), strict=True):
        assert row["n_parameters"] == count_parameters(config)
        assert row["flops_per_token"] == count_flops(config)
        # Weights, their gradients and two moments, and logits.
        assert row["training_peak_bytes"] > 4 * 4 * count_parameters(config)
        assert wide["reading_peak_bytes"] >= 4 * count_parameters(config) + 4 * 8 * 16 * 11
        for kind in ("training", "reading"):
            assert wide[f"{kind}_peak_bytes"] > row[f"{kind}_peak_bytes"]
        assert all(row[key] > 0 for key in row if key.endswith(("_second", "_token")))
    assert small[1]["training_peak_bytes"] > small[0]["training_peak_bytes"]


def test_the_command_shows_one_row_for_each_arm(say: Say) -> None:
    given = ("lm", "cost", "--arms", "real,tap", "--size", "3k", "--window", "8", "--rounds", "1")
    shown, _ = say(*given, "--vocabulary", "11", "--batch-size", "2")
    assert "tap" in shown
    record = json.loads(say(*given, "--vocabulary", "11", "--batch-size", "2", "--json")[0])
    assert [row["decoder"] for row in record["rows"]] == ["real", "tap"]
    assert f"{record['rows'][1]['n_parameters']:,}" in shown


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--arms", "reel"], "did you mean 'real'"),
        (["--rounds", "0"], "--rounds"),
        (["--size", "9"], "larger size"),
    ],
)
def test_bad_input_is_one_line(flags, words, capsys):
    assert run(["lm", "cost", *flags]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1


def test_nothing_to_measure_is_refused():
    with pytest.raises(InputError, match="at least one of each"):
        measure_costs({})
