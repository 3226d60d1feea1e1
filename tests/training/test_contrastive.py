"""Losses of distances, against loops over rows and pairs, and finite differences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.training import Labelled, SelectOn
from hybridqies.training.contrastive import CosinePairs, SupervisedContrastive, check_partners
from hybridqies.training.rows import Batch

LABELS = torch.tensor([0, 1, 0, 2, 1, 0])


@pytest.fixture
def embeddings() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return nn.functional.normalize(torch.randn(6, 5, generator=generator, dtype=torch.float64), dim=1)


def test_supcon_is_the_mean_over_rows_with_a_partner(embeddings: Tensor) -> None:
    """Row 3 is alone in its class."""
    losses = []
    for row in (0, 1, 2, 4, 5):
        scores = {
            other: float(embeddings[row] @ embeddings[other]) / 0.5 for other in range(6) if other != row
        }
        total = math.log(sum(map(math.exp, scores.values())))
        partners = [other for other in scores if LABELS[other] == LABELS[row]]
        losses.append(-sum(scores[other] - total for other in partners) / len(partners))
    found = float(SupervisedContrastive(temperature=0.5).compare(embeddings, LABELS))
    assert found == pytest.approx(sum(losses) / len(losses), rel=1e-12)


def test_pairs_weigh_both_kinds_alike(embeddings: Tensor) -> None:
    errors: dict[bool, list[float]] = {True: [], False: []}
    for first in range(6):
        for second in range(first + 1, 6):
            same = bool(LABELS[first] == LABELS[second])
            errors[same].append((float(embeddings[first] @ embeddings[second]) - same) ** 2)
    expected = sum(sum(each) / len(each) for each in errors.values()) / 2
    assert float(CosinePairs().compare(embeddings, LABELS)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("objective", [SupervisedContrastive(), CosinePairs()])
def test_slopes(objective: Any, embeddings: Tensor) -> None:
    assert torch.autograd.gradcheck(
        lambda rows: objective.compare(rows, LABELS), embeddings.clone().requires_grad_(True)
    )


@pytest.mark.parametrize("objective", [SupervisedContrastive(), CosinePairs()])
def test_what_cannot_be_compared_costs_nothing(objective: Any) -> None:
    """A batch without a partner, and one of a single row, give a loss of 0 with slopes of 0."""
    one = torch.ones(1, 4, requires_grad=True)
    loss = objective.compare(one, torch.tensor([0]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert one.grad is not None
    assert bool((one.grad == 0).all())


def test_all_validation_rows_are_compared_at_once(embeddings: Tensor) -> None:
    """Embeddings come in batches, and the loss is that of all rows together."""
    objective, rows = CosinePairs(), Labelled(3 * embeddings, LABELS)
    model = nn.Identity()
    measured = objective.measure(model, rows, batch_size=4)
    whole = float(objective.compare(embeddings.float(), LABELS))
    assert measured.to_mapping("validation_") == {
        "validation_loss": pytest.approx(whole, rel=1e-6),
        "validation_n": 6,
    }
    assert measured.score(SelectOn.ACCURACY)[0] == -measured.loss
    assert float(objective.loss(model, Batch(3 * embeddings, LABELS))) == pytest.approx(whole, rel=1e-6)


def test_rows_without_partners_are_refused() -> None:
    check_partners(LABELS)
    with pytest.raises(InputError, match="2 rows of as many classes were given"):
        check_partners(torch.tensor([0, 1]))
