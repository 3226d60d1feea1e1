"""The loop: what it optimises, what it keeps, and that a seed decides everything."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from built_heads import built_head
from torch import nn

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.heads.base import Head
from hybridqies.records import write_lines
from hybridqies.training import (
    ClassWeights,
    CrossEntropy,
    Labelled,
    Metrics,
    Outcome,
    Rates,
    Schedule,
    SelectOn,
    TrainingConfig,
    fit,
    measure,
    predict_probabilities,
)
from hybridqies.training.history import METRICS, read_history
from hybridqies.training.objectives import class_weights
from hybridqies.training.steps import learning_rate_factor

D, K = 7, 3
QUICK = TrainingConfig(epochs=5, batch_size=16, learning_rate=0.05)


def train(
    module: nn.Module,
    training: Labelled,
    validation: Labelled | None,
    config: TrainingConfig,
    **rest: Any,
) -> Outcome:
    """`fit` with cross-entropy."""
    objective = CrossEntropy.of(config, training, getattr(module, "n_classes", None))
    return fit(module, training, validation, objective, config, **rest)


def evaluate(module: nn.Module, part: Labelled) -> Metrics:
    return CrossEntropy().measure(module, part, 256)


def data(rows: int = 60, seed: int = 0) -> Labelled:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(K, (rows,), generator=draw)
    return Labelled(torch.randn(rows, D, generator=draw) + torch.eye(K, D)[labels] * 1.5, labels)


def head(name: str = "mlp", seed: int = 0, **options: Any) -> Head:
    defaults: dict[str, Any] = {"mlp": {"widths": (6,)}, "two-module": {"n_qubits": 3}}
    return built_head(name, D, K, seed, **(defaults[name] | options))


def weights_of(module: nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().reshape(-1) for value in module.state_dict().values()])


class TestSchedules:
    def factors(self, **options: Any) -> list[float]:
        config = TrainingConfig(epochs=4, **options)
        return [learning_rate_factor(config, step, 5) for step in range(20)]

    def test_constant(self) -> None:
        assert self.factors(schedule=Schedule.CONSTANT) == [1.0] * 20

    def test_linear_falls_evenly_to_nothing(self) -> None:
        assert self.factors(schedule=Schedule.LINEAR) == pytest.approx([1 - step / 20 for step in range(20)])

    def test_cosine(self) -> None:
        expected = [(1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]
        assert self.factors(schedule=Schedule.COSINE) == pytest.approx(expected)

    @pytest.mark.parametrize("schedule", list(Schedule))
    def test_warm_up_rises_over_its_part_of_the_steps(self, schedule: Schedule) -> None:
        factors = self.factors(schedule=schedule, warmup=0.25)
        assert factors[:5] == pytest.approx([(step + 1) / 6 for step in range(5)])
        assert factors[5] == 1.0
        assert all(0 < later <= 1 for later in factors)

    def test_the_recorded_rate_is_the_schedules(self) -> None:
        config = dataclasses.replace(QUICK, schedule=Schedule.LINEAR)
        outcome = train(head(), data(), None, config)
        last_steps = [learning_rate_factor(config, 4 * epoch + 3, 4) for epoch in range(5)]
        rates = [record["learning_rate"] for record in outcome.history]
        assert rates == pytest.approx([0.05 * factor for factor in last_steps])


def test_it_is_adamw_on_cross_entropy() -> None:
    """One full batch a step, so that the order of rows plays no part."""
    config = TrainingConfig(epochs=4, batch_size=60, learning_rate=0.03, weight_decay=0.2, clip_norm=0.0)
    ours, theirs, part = head(), head(), data()
    optimiser = torch.optim.AdamW(theirs.parameters(), lr=0.03, weight_decay=0.2)
    losses = []
    for step in range(4):
        optimiser.param_groups[0]["lr"] = 0.03 * learning_rate_factor(config, step, 1)
        loss = nn.functional.cross_entropy(theirs(part.inputs), part.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    outcome = train(ours, part, None, config)
    torch.testing.assert_close(weights_of(ours), weights_of(theirs), atol=1e-5, rtol=1e-4)
    assert [record["train_loss"] for record in outcome.history] == pytest.approx(losses, rel=1e-4)


class Probe(nn.Module):
    """A linear head whose gradient norms are recorded when the optimiser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.utils.skip_init(nn.Linear, D, K)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.linear(embeddings) * 100


def test_each_part_has_its_rate_and_angles_no_decay() -> None:
    """With rates next to nothing but for one part, only that part moves."""
    for part in ("encoders", "circuit", "readout"):
        own = {"encoders": "encoding", "readout": "readout"}.get(part, "")
        rates = {"encoding": 1e-12, "readout": 1e-12} | ({own: 0.01} if own else {})
        rest = 1e-12 if own else 0.01
        module = head("two-module")
        before = {key: value.clone() for key, value in module.named_parameters()}
        config = TrainingConfig(epochs=1, weight_decay=0.9, learning_rate=rest, rates=Rates(**rates))
        train(module, data(), None, config)
        moved = {
            key.partition(".")[0] for key, value in module.named_parameters() if differs(value, before[key])
        }
        assert moved == {part}


def differs(value: torch.Tensor, before: torch.Tensor) -> bool:
    return not torch.allclose(value, before, atol=1e-7, rtol=0)


@pytest.mark.parametrize("limit", [0.0, 0.5])
def test_clipping(limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def watched(optimiser: torch.optim.AdamW, *rest: Any) -> Any:
        squares = [p.grad.square().sum() for group in optimiser.param_groups for p in group["params"]]
        norms.append(float(torch.stack(squares).sum().sqrt()))
        return step(optimiser, *rest)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train(Probe(), data(), None, dataclasses.replace(QUICK, clip_norm=limit))
    assert max(norms) == pytest.approx(0.5, rel=1e-3) if limit else max(norms) > 10


def test_class_weights_make_classes_count_the_same() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 1)
    weights = class_weights(labels, 3, ClassWeights.BALANCED)
    assert weights is not None
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    assert class_weights(labels, 3, ClassWeights.NONE) is None
    part = Labelled(data().inputs[:10], labels)
    config = TrainingConfig(epochs=1, batch_size=10, class_weights=ClassWeights.BALANCED)
    probe = Probe()
    expected = nn.functional.cross_entropy(probe(part.inputs), labels, weight=weights)
    assert train(probe, part, None, config).history[0]["train_loss"] == pytest.approx(
        float(expected.detach())
    )


def test_label_smoothing_enters_the_loss() -> None:
    config = TrainingConfig(epochs=1, batch_size=60, label_smoothing=0.3)
    part, ours = data(), head()
    expected = nn.functional.cross_entropy(ours(part.inputs), part.labels, label_smoothing=0.3)
    assert train(ours, part, None, config).history[0]["train_loss"] == pytest.approx(float(expected.detach()))


class TestBestEpoch:
    def watched(self, config: TrainingConfig) -> tuple[Head, Any, list[torch.Tensor]]:
        states: list[torch.Tensor] = []
        module = head()
        outcome = train(
            module, data(), data(seed=1), config, on_epoch=lambda _: states.append(weights_of(module))
        )
        return module, outcome, states

    @pytest.mark.parametrize("rule", [SelectOn.ACCURACY, SelectOn.LOSS])
    def test_the_best_epoch_is_kept(self, rule: SelectOn) -> None:
        config = dataclasses.replace(QUICK, epochs=12, learning_rate=0.3, select_on=rule)
        module, outcome, states = self.watched(config)
        scores = [
            (r["validation_accuracy"] if rule is SelectOn.ACCURACY else 0, -r["validation_log_loss"])
            for r in outcome.history
        ]
        best = scores.index(max(scores))
        assert outcome.best_epoch == best + 1 < 12
        assert torch.equal(weights_of(module), states[best])
        assert not module.training
        measured = evaluate(module, data(seed=1))
        assert measured.accuracy == outcome.history[best]["validation_accuracy"]

    def test_without_validation_the_last_one_is(self) -> None:
        module = head()
        outcome = train(module, data(), None, QUICK)
        assert outcome.best_epoch == 5
        assert "validation_accuracy" not in outcome.history[0]

    def test_the_last_one_when_asked(self) -> None:
        module, outcome, states = self.watched(
            dataclasses.replace(QUICK, epochs=12, learning_rate=0.3, select_on=SelectOn.LAST)
        )
        assert outcome.best_epoch == 12
        assert torch.equal(weights_of(module), states[-1])

    def test_patience_stops_early(self) -> None:
        config = dataclasses.replace(QUICK, epochs=60, learning_rate=0.3, patience=4)
        _, outcome, _ = self.watched(config)
        assert len(outcome.history) == outcome.best_epoch + 4 < 60

    def test_no_patience_never_stops(self) -> None:
        _, outcome, _ = self.watched(dataclasses.replace(QUICK, epochs=15, learning_rate=0.3))
        assert len(outcome.history) == 15


class TestSeeds:
    @pytest.mark.parametrize("name", ["mlp", "two-module"])
    def test_one_seed_one_result_bit_for_bit(self, name: str) -> None:
        config = dataclasses.replace(QUICK, seed=4)
        first, again = head(name, dropout=0.3), head(name, dropout=0.3)
        for module in (first, again):
            train(module, data(), data(seed=1), config)
            torch.rand(3)
        assert torch.equal(weights_of(first), weights_of(again))
        other = head(name, dropout=0.3)
        train(other, data(), data(seed=1), dataclasses.replace(config, seed=5))
        assert not torch.equal(weights_of(other), weights_of(first))

    def test_global_generators_are_left_alone(self) -> None:
        before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
        train(head("two-module", dropout=0.5), data(), data(seed=1), QUICK)
        train(head(dropout=0.5), data(), None, QUICK)
        assert torch.equal(torch.get_rng_state(), before)
        assert (np.random.get_state(legacy=False)["state"]["key"] == numpy_before).all()  # noqa: NPY002

    def test_dropout_masks_differ_from_epoch_to_epoch(self) -> None:
        masks: list[torch.Tensor] = []
        module = head(dropout=0.5)
        dropout = next(part for part in module.modules() if isinstance(part, nn.Dropout))
        dropout.register_forward_hook(lambda *given: masks.append(given[2].detach() == 0))
        train(module, data(), None, TrainingConfig(epochs=2, batch_size=60, learning_rate=1e-9))
        assert not torch.equal(masks[0].sum(dim=0), masks[1].sum(dim=0))


def test_scaling_is_fitted_on_the_training_set_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    training, validation = data(), Labelled(data(seed=1).inputs + 100, data(seed=1).labels)
    module = head("two-module", centre=True)
    train(module, training, validation, QUICK)
    torch.testing.assert_close(module.amplitudes.mean, training.inputs.mean(dim=0))
    given: list[torch.Tensor] = []
    for name in ("logistic", "svc"):
        solver = built_head(name, D, K)
        monkeypatch.setattr(type(solver), "adapt", lambda _, rows: given.append(rows))
        train(solver, training, validation, QUICK)
    assert all(torch.equal(rows, training.inputs) for rows in given)
    assert len(given) == 2


class TestRecords:
    def test_metrics_file(self, tmp_path: Path) -> None:
        seen: list[dict[str, Any]] = []
        module = head()
        outcome = train(module, data(), data(seed=1), QUICK, folder=tmp_path, on_epoch=seen.append)
        lines = read_history(tmp_path)
        assert lines == outcome.history == tuple(seen)
        assert len((tmp_path / METRICS).read_text().splitlines()) == 5
        assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
        assert {"learning_rate", "train_loss", "validation_accuracy", "validation_macro_f1"} <= set(lines[0])
        assert {"validation_log_loss", "validation_calibration_error", "seconds"} <= set(lines[0])
        assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(lines))

    def test_a_solved_head_has_one_record(self, tmp_path: Path) -> None:
        solver = built_head("logistic", D, K)
        outcome = train(solver, data(), data(seed=1), QUICK, folder=tmp_path)
        (line,) = read_history(tmp_path)
        assert (line,) == outcome.history
        assert line["validation_accuracy"] == evaluate(solver, data(seed=1)).accuracy
        assert line["train_accuracy"] == evaluate(solver, data()).accuracy

    def test_evaluate_measures_the_heads_probabilities(self) -> None:
        module, part = head(), data()
        expected = measure(torch.softmax(module(part.inputs), 1).detach().numpy(), part.labels.numpy())
        assert evaluate(module, part) == expected


class TestProbabilities:
    def test_batches_make_no_difference(self) -> None:
        module, rows = head("two-module"), data(50).inputs
        whole, parts = (predict_probabilities(module, rows, size) for size in (256, 7))
        np.testing.assert_allclose(whole, parts, atol=1e-6)
        np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-6)

    def test_no_dropout_and_the_mode_is_given_back(self) -> None:
        module, rows = head(dropout=0.9), data(8).inputs
        assert module.training
        assert (predict_probabilities(module, rows) == predict_probabilities(module, rows)).all()
        assert module.training

    @pytest.mark.parametrize("name", ["mlp", "two-module"])
    def test_no_rows(self, name: str) -> None:
        assert predict_probabilities(head(name), torch.zeros(0, D)).shape == (0, K)


class TestDamage:
    def history(self, folder: Path) -> list[str]:
        train(head(), data(), data(seed=1), QUICK, folder=folder)
        return (folder / METRICS).read_text().splitlines()

    def refused(self, folder: Path, lines: list[str]) -> str:
        (folder / METRICS).write_text("".join(f"{line}\n" for line in lines))
        with pytest.raises(ModelFolderError) as caught:
            read_history(folder)
        return str(caught.value)

    def test_what_is_changed_lost_or_cut_off_is_an_error(self, tmp_path: Path) -> None:
        lines = self.history(tmp_path)
        digit = re.sub(r'"train_loss": (\d)', lambda found: f'"train_loss": {9 - int(found[1])}', lines[2])
        assert digit != lines[2]
        for spoilt, number in (
            ([*lines[:2], digit, *lines[3:]], 3),
            (lines[1:], 1),
            (lines[:3], 3),
            ([*lines[:4], lines[4][:-20]], 5),
            ([], 1),
        ):
            assert f"line {number} of training record" in self.refused(tmp_path, spoilt)
        (tmp_path / METRICS).unlink()
        with pytest.raises(ModelFolderError, match="cannot be read"):
            read_history(tmp_path)

    def test_a_line_without_a_number_is_an_error(self, tmp_path: Path) -> None:
        first = {"epoch": 1, "train_loss": 0.5}
        write_lines(tmp_path / METRICS, [first])
        assert read_history(tmp_path) == (first,)
        damaged: tuple[tuple[list[dict[str, Any]], str], ...] = (
            ([first, {"epoch": 2}], "line 2 .* it has no 'train_loss'"),
            ([first, {"epoch": 2, "train_loss": "low"}], "line 2 .* 'train_loss' is 'low'"),
            ([{"train_loss": 0.5}], "line 1 .* it has no 'epoch'"),
        )
        for epochs, said in damaged:
            write_lines(tmp_path / METRICS, epochs)
            with pytest.raises(ModelFolderError, match=said):
                read_history(tmp_path)


class Exploding(Probe):
    """Finite until its second epoch."""

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        logits = super().forward(embeddings)
        self.steps = getattr(self, "steps", 0) + self.training
        return logits * (float("nan") if self.steps > 5 else 1.0)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match=r"the training loss became nan in epoch 2; expected a finite loss"):
        train(Exploding(), data(), None, QUICK)


def test_no_rows_and_no_folder_are_refused() -> None:
    with pytest.raises(InputError, match="training was given 0 rows"):
        train(head(), data(0), None, QUICK)
    with pytest.raises(InputError, match="resume was given without a folder"):
        train(head(), data(), None, QUICK, resume=True)
