"""Verdicts on a training, from what it recorded."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from built_heads import built_head

from hybridqies.training import (
    CrossEntropy,
    Labelled,
    Rates,
    TrainingConfig,
    diagnose,
    fit,
    predict_probabilities,
)
from hybridqies.training.diagnosis import Symptom, judge_history, judge_solver


def path(losses: list[float], rate: float = 0.1) -> list[dict[str, Any]]:
    return [{"epoch": at + 1, "train_loss": loss, "learning_rate": rate} for at, loss in enumerate(losses)]


def symptoms(*given: Any, **named: Any) -> list[Symptom]:
    return [verdict.symptom for verdict in diagnose(*given, **named)]


FALLING = path([1 - at / 20 for at in range(20)])
FLAT = path([max(0.0, 1 - at / 5) for at in range(20)])


class TestConvergence:
    def test_a_line_has_not_converged_and_an_end_has(self) -> None:
        falling = [{"train_loss": 1 - at / 20, "learning_rate": 0.1} for at in range(20)]
        assert not judge_history(falling).reached
        flat = [{"train_loss": max(0.0, 1 - at / 5), "learning_rate": 0.1} for at in range(20)]
        assert judge_history(flat).reached

    def test_a_rate_that_ends_at_zero_makes_no_convergence(self) -> None:
        """Falling by the learning rate spent, under a linear schedule: flat at the end, and not converged."""
        rates = [1 - at / 20 for at in range(20)]
        losses = [10 - sum(rates[: at + 1]) for at in range(20)]
        history = [
            {"train_loss": loss, "learning_rate": rate} for loss, rate in zip(losses, rates, strict=True)
        ]
        assert losses[-2] - losses[-1] < 0.01 * (losses[0] - losses[-1])
        verdict = judge_history(history)
        assert not verdict.reached
        assert "of its whole fall" in verdict.why

    def test_a_loss_that_rises_at_the_end_is_said_to_rise(self) -> None:
        history = [{"train_loss": loss, "learning_rate": 0.1} for loss in (2.0, 1.0, 1.0, 1.0, 1.25)]
        verdict = judge_history(history)
        assert not verdict.reached
        assert "the loss rose by 25.0 % of its whole fall" in verdict.why

    def test_too_few_epochs_and_a_loss_that_never_fell(self) -> None:
        assert judge_history([{"train_loss": 1.0, "learning_rate": 1.0}]).why == "1 epoch is too few to tell"
        rising = [{"train_loss": 1.0 + at, "learning_rate": 1.0} for at in range(9)]
        assert "never fell" in judge_history(rising).why

    def test_a_solver_is_judged_by_its_warnings(self) -> None:
        assert judge_solver([]).reached
        assert judge_solver(["lbfgs failed to converge"]) == (
            dataclasses.replace(judge_solver([]), reached=False, why="lbfgs failed to converge")
        )


class TestVerdicts:
    def test_a_healthy_training_has_none(self) -> None:
        assert diagnose(FLAT, [0, 1, 1], ["ham", "spam"]) == ()

    def test_not_converged(self) -> None:
        (verdict,) = diagnose(FALLING)
        assert verdict.symptom is Symptom.NOT_CONVERGED
        assert str(verdict) == (
            "not converged: after 20 epochs, in the last fifth of the training, weighted by learning rate, "
            "the loss fell by 26.3 % of its whole fall (converged: at most 5 %); "
            "train for more epochs or raise learning_rate"
        )
        assert symptoms(FALLING[:3]) == [Symptom.NOT_CONVERGED]
        assert symptoms(FALLING, stopped_early=True) == []

    def test_the_loss_never_fell(self) -> None:
        (verdict,) = diagnose(path([1.0, 1.5, 1.25]))
        assert verdict.symptom is Symptom.NEVER_FELL
        assert "was 1 after the first epoch and 1.25 at the end" in verdict.seen

    def test_one_class(self) -> None:
        (verdict,) = diagnose(FLAT, [1, 1, 1], ["ham", "spam"])
        assert verdict.symptom is Symptom.ONE_CLASS
        assert "all 3 rows measured are predicted as 'spam'" in str(verdict)

    def test_one_class_of_rows_that_have_no_other_is_none(self) -> None:
        assert diagnose(FLAT, [1, 1], ["ham", "spam"], truth=[1, 1]) == ()
        assert symptoms(FLAT, [1, 1], ["ham", "spam"], truth=[1, 0]) == [Symptom.ONE_CLASS]

    def test_nearly_all_rows_count_where_the_truth_is_more_even(self) -> None:
        few_others, classes = [0] * 97 + [1] * 3, ["bad", "good"]
        (verdict,) = diagnose(FLAT, few_others, classes, truth=[0, 1] * 50)
        assert str(verdict).startswith(
            "predicts one class: 97 of 100 rows measured are predicted as 'bad', which 50 are; "
        )
        assert symptoms(FLAT, few_others, classes, truth=[0] * 80 + [1] * 20) == []
        assert symptoms(FLAT, few_others, classes) == []
        assert symptoms(FLAT, [0] * 94 + [1] * 6, classes, truth=[0, 1] * 50) == []

    def test_a_solver_has_no_losses(self) -> None:
        assert diagnose([{"epoch": 1, "train_accuracy": 0.9}], [0, 1], ["a", "b"]) == ()


@pytest.mark.parametrize(
    ("epochs", "expected"), [(5, [Symptom.NOT_CONVERGED, Symptom.ONE_CLASS]), (None, [])]
)
def test_few_epochs_on_few_rows_and_the_default(epochs: int | None, expected: list[Symptom]) -> None:
    """The first hour of a new user: 400 rows, of which one in seven is of the second class."""
    draw = torch.Generator().manual_seed(0)
    labels = (torch.arange(400) % 7 == 0).long()
    inputs = torch.randn(400, 20, generator=draw) / 5 + torch.eye(2, 20)[labels] / 3
    rows = Labelled(inputs, labels)
    config = TrainingConfig(epochs=epochs, learning_rate=0.002, rates=Rates(readout=0.005))
    head = built_head("dressed", 20, 2, n_qubits=3)
    outcome = fit(head, rows, None, CrossEntropy.of(config, rows, 2), config)
    predicted = predict_probabilities(head, inputs).argmax(axis=1).tolist()
    assert symptoms(outcome.history, predicted, ["ham", "spam"], truth=labels.tolist()) == expected
