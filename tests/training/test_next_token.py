"""Causal language modelling in the loop: values by hand, batches, and steps that are told."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from hybridqies.training import NextToken, SelectOn, TrainingConfig, Windows, fit, token_losses

IDS = torch.tensor([[0, 1, 2, 0], [1, 1, 0, 2], [2, 0, 1, 1]])


class Bigrams(nn.Module):
    """Logits of the next token from a table."""

    def __init__(self, table: torch.Tensor, *, named: bool = False) -> None:
        super().__init__()
        self.table = nn.Parameter(table)
        self.named = named

    def forward(self, ids: torch.Tensor) -> Any:
        logits = self.table[ids]
        return SimpleNamespace(logits=logits) if self.named else logits


def draw_table() -> torch.Tensor:
    return torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("named", [False, True])
def test_each_token_is_predicted_from_the_one_before(named):
    table = draw_table()
    losses = token_losses(Bigrams(table, named=named), IDS)
    expected = [[-table.log_softmax(1)[a, b] for a, b in itertools.pairwise(row)] for row in IDS]
    assert torch.dist(losses, torch.tensor(expected)) < 1e-12
    assert losses.dtype == torch.float64


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_measures_are_over_tokens_whatever_the_batches_are(batch_size):
    model, rows = Bigrams(draw_table()), Windows(IDS)
    losses = token_losses(model, IDS).detach()
    right = (model.table[IDS[:, :-1]].argmax(-1) == IDS[:, 1:]).double().mean()
    found = NextToken().measure(model, rows, batch_size)
    assert found.loss == pytest.approx(float(losses.mean()))
    assert found.accuracy == pytest.approx(float(right))
    assert found.score(SelectOn.LOSS) == (-found.loss, -found.loss)
    assert found.score(SelectOn.ACCURACY) == (found.accuracy, -found.loss)
    assert found.to_mapping("validation_") == {
        "validation_loss": found.loss,
        "validation_accuracy": found.accuracy,
    }
    assert NextToken().weight(rows[:2]) == 6


def test_half_precision_is_scored_in_single():
    model = Bigrams(draw_table().bfloat16())
    assert token_losses(model, IDS).dtype == torch.float32


def test_a_table_learns_the_frequencies_and_every_step_is_told():
    rows = Windows(torch.tensor([[0, 1, 0, 1, 0], [0, 2, 0, 1, 0]]))
    config = TrainingConfig(epochs=150, batch_size=1, learning_rate=0.1, weight_decay=0.0)
    told: list[tuple[int, int]] = []
    model = Bigrams(torch.zeros(3, 3, dtype=torch.float64))
    outcome = fit(model, rows, rows, NextToken(), config, on_step=lambda *steps: told.append(steps))
    assert told == [(step, 300) for step in range(1, 301)]
    entropy = math.log(4) - 0.75 * math.log(3)
    assert outcome.history[-1]["validation_loss"] == pytest.approx(entropy / 2, abs=0.02)
    assert float(model.table.detach().softmax(1)[0, 1]) == pytest.approx(0.75, abs=0.05)


def test_rows_are_known_by_their_tokens():
    assert Windows(IDS).fingerprint == Windows(IDS.clone()).fingerprint != Windows(IDS.flip(0)).fingerprint
