"""Sparse parity: rows, the formula of parameters, the order of learning on a made-up and on a real log."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.parity import (
    ParityNet,
    ParityPlan,
    ParityProblem,
    ParityRows,
    ParityTraining,
    QuantumLog,
    count_parameters,
    order_of_learning,
    read_parity,
    run_parity,
    train_parity_net,
)

EASY = ParityProblem(n_tasks=6, n_bits=8, n_relevant=2, alpha=0.6)


class TestRows:
    @pytest.mark.parametrize("n_bits", [8, 64, 100])
    def test_labels_are_the_parity_of_the_bits_of_the_task(self, n_bits: int) -> None:
        problem = ParityProblem(n_tasks=5, n_bits=n_bits, n_relevant=3)
        batch = ParityRows(problem, 500)[slice(None)]
        bits, relevant = batch.inputs["bits"], problem.relevant()
        assert bits.shape == (500, n_bits)
        assert set(bits.unique().tolist()) == {0.0, 1.0}
        for row in range(500):
            chosen = relevant[batch.inputs["task"][row]]
            assert batch.labels[row] == int(bits[row, chosen].sum()) % 2

    def test_tasks_have_their_frequencies_and_bits_are_fair(self) -> None:
        rows = ParityRows(ParityProblem(), 200_000)[slice(None)]
        frequencies = ParityProblem().frequencies
        assert frequencies[3] / frequencies[0] == pytest.approx(4**-1.4)
        counts = np.bincount(rows.inputs["task"].numpy(), minlength=50) / 200_000
        # Five standard errors.
        assert np.abs(counts - frequencies).max() < 5 * math.sqrt(0.25 / 200_000)
        assert (rows.inputs["bits"].mean(0) - 0.5).abs().max() < 5 * 0.5 / math.sqrt(200_000)
        correlations = torch.corrcoef(rows.inputs["bits"].T) - torch.eye(24)
        assert correlations.abs().max() < 6 / math.sqrt(200_000)

    def test_rows_depend_on_their_numbers_and_seed_alone(self) -> None:
        rows = ParityRows(EASY, 100)
        batch, whole = rows[torch.tensor([7, 3])], rows[slice(None)]
        assert torch.equal(batch.inputs["bits"], whole.inputs["bits"][[7, 3]])
        assert torch.equal(batch.labels, whole.labels[[7, 3]])
        assert not torch.equal(ParityRows(EASY, 100, 1)[slice(None)].inputs["bits"], whole.inputs["bits"])

    def test_no_two_tasks_look_at_the_same_bits(self) -> None:
        problem = ParityProblem(n_tasks=28, n_bits=8, n_relevant=3)
        assert len({tuple(each) for each in problem.relevant().tolist()}) == 28
        with pytest.raises(InputError, match="at most 28 tasks"):
            ParityProblem(n_tasks=29, n_bits=8, n_relevant=3)


def test_parameters_have_a_closed_formula() -> None:
    problem = ParityProblem(n_tasks=500, n_bits=100)
    model = ParityNet(problem, 7, torch.Generator().manual_seed(0))
    assert sum(each.numel() for each in model.parameters()) == count_parameters(problem, 7) == 603 * 7 + 2


def test_a_look_up_is_a_linear_layer_on_one_hot_tasks() -> None:
    model = ParityNet(EASY, 5, torch.Generator().manual_seed(0))
    inputs = ParityRows(EASY, 20)[slice(None)].inputs
    one_hot = torch.nn.functional.one_hot(inputs["task"], 6).float()
    whole = torch.cat([one_hot, inputs["bits"]], dim=1)
    weight = torch.cat([model.tasks.weight.T, model.bits.weight], dim=1)
    hidden = torch.relu(whole @ weight.T + model.bits.bias)
    torch.testing.assert_close(model(inputs), model.readout(hidden), atol=1e-6, rtol=0)


class TestOrder:
    def log(self, learnt_at: list[int | None]) -> QuantumLog:
        steps = np.arange(1, 2001)
        losses = np.stack([np.where(steps >= (at or 10**9), 0.1, 1.0) for at in learnt_at], axis=1)
        return QuantumLog(8, 100, 10, steps, losses, losses.mean(axis=1))

    def test_steps_inverse_to_frequency_have_slope_minus_1(self) -> None:
        problem = ParityProblem(n_tasks=8)
        steps = [round(20 / each) for each in problem.frequencies]
        found = order_of_learning(problem, self.log([*steps[:6], None, None]))
        assert found.n_learnt == 6
        assert found.spearman == pytest.approx(1.0)
        assert found.slope == pytest.approx(-1.0, abs=0.02)

    def test_the_opposite_order_and_too_few(self) -> None:
        problem = ParityProblem(n_tasks=8)
        found = order_of_learning(problem, self.log([800, 700, 600, 500, 400, 300, 200, 100]))
        assert found.spearman == pytest.approx(-1.0)
        few = order_of_learning(problem, self.log([1, 2, 3, 4, None, None, None, None]))
        assert (few.n_learnt, few.spearman, few.slope) == (4, None, None)


def test_frequent_quanta_are_learnt_first_and_repeat() -> None:
    training = ParityTraining(steps=150, batch_size=100, learning_rate=0.02, log_every=10)
    model, log = train_parity_net(EASY, 32, training)
    steps = [10**9 if step is None else step for step in log.learnt_at()]
    assert steps[0] == min(steps)
    assert log.losses[0].min() > 0.5
    assert log.losses[-1, 0] < 0.1
    assert log.means == pytest.approx(log.losses @ EASY.frequencies)
    again, same = train_parity_net(EASY, 32, training)
    assert np.array_equal(same.losses, log.losses)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_few_samples_are_learnt_by_heart_and_no_more() -> None:
    training = ParityTraining(steps=60, batch_size=50, learning_rate=0.02, log_every=20)
    record = run_parity(ParityPlan(EASY, training, (4, 16), (50,)))
    assert [net["parameters"] for net in record["nets"]] == [70, 274, 274]
    assert [net["samples"] for net in record["nets"]] == [3000, 3000, 50]
    # With 50 rows again and again the loss on new rows stays at that of guessing.
    assert record["nets"][2]["losses"][-1][5] > 0.5
    assert record["predicted"]["samples"] == pytest.approx(-0.375)


def test_nets_of_few_and_of_many_samples_have_the_same_steps() -> None:
    """In whole epochs 300 samples would have 60 steps."""
    training = ParityTraining(steps=50, batch_size=10, learning_rate=0.02, log_every=25)
    record = run_parity(ParityPlan(EASY, training, (4,), (7, 300, 500)))
    assert [net["samples"] for net in record["nets"]] == [500, 7, 300, 500]
    assert [net["steps"] for net in record["nets"]] == [[25, 50]] * 4
    # As many samples as rows are all new.
    assert record["nets"][3]["losses"] == record["nets"][0]["losses"]
    rows = ParityRows(EASY, 20, different=7)[slice(None)].inputs["bits"]
    assert torch.equal(rows[:7], rows[7:14])
    assert not torch.equal(rows[:6], rows[1:7])
    with pytest.raises(InputError, match="501 samples were given for 50 steps of 10 rows"):
        ParityPlan(EASY, training, (4,), (501,))


@pytest.mark.parametrize("n_known", [0, 1, 2, 3])
def test_runs_go_on_to_the_same_record(tmp_path: Path, n_known: int) -> None:
    """A run that stops before one of its three nets trains that one and the others."""
    plan = ParityPlan(EASY, ParityTraining(steps=4, batch_size=20, log_every=2), (4, 6), (30,))
    path, whole = tmp_path / "parity.json", run_parity(plan)
    names: list[str] = []

    def stop(name: str, _steps: int) -> None:
        if len(names) == n_known:
            raise KeyboardInterrupt
        names.append(name)

    with contextlib.suppress(KeyboardInterrupt):
        run_parity(plan, path=path, on_net=stop)
    assert len(read_parity(path)[1]["nets"]) == n_known
    assert run_parity(plan, path=path, resume=True, on_net=lambda name, _: names.append(name)) == whole
    assert names == ["width 4", "width 6", "30 samples"]
    assert read_parity(path) == (plan, json.loads(json.dumps(whole)))
    with pytest.raises(InputError, match="is there already"):
        run_parity(plan, path=path)
    with pytest.raises(InputError, match="another plan"):
        run_parity(replace(plan, widths=(4,)), path=path, resume=True)


def test_resuming_needs_a_whole_record(tmp_path: Path) -> None:
    path = tmp_path / "parity.json"
    with pytest.raises(ModelFolderError, match="cannot be read"):
        read_parity(path)
    path.write_text('{"plan": {}, "nets": []}', encoding="utf-8")
    with pytest.raises(ModelFolderError, match="no digest"):
        read_parity(path)


@pytest.mark.parametrize("widths", [(), (0,)])
def test_plans_have_widths(widths: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least one width"):
        ParityPlan(EASY, ParityTraining(), widths)


@pytest.mark.slow
def test_the_order_of_learning_of_50_quanta() -> None:
    _, log = train_parity_net(ParityProblem(), 256, ParityTraining())
    found = order_of_learning(ParityProblem(), log)
    assert found.n_learnt >= 5
    assert found.spearman is not None
    assert found.slope is not None
    assert found.spearman >= 0.9
    assert -1.15 <= found.slope <= -0.70
