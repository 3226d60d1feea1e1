"""Compiled training steps: as many compilations as sizes of batches, the same values, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from built_heads import built_head
from torch import nn

from hybridqies.errors import InputError
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, compiled_loss, fit
from hybridqies.training.compiled_loss import check_compilable

CONFIG = TrainingConfig(epochs=3, batch_size=8)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of operations of each graph that is compiled; graphs are run as they are."""
    found: list[int] = []

    def count(graph: Any, inputs: Any) -> Callable[..., Any]:
        found.append(len(list(graph.graph.nodes)))
        return graph.forward

    monkeypatch.setattr(compiled_loss, "BACKEND", count)
    return found


def rows(count: int) -> Labelled:
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (count,), generator=draw)
    return Labelled(torch.randn(count, 3, generator=draw) + torch.eye(2, 3)[labels], labels)


def trained(count: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    # The norm keeps means of batches, and dropout draws.
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 2))
    fit(model, rows(count), rows(10), CrossEntropy(), CONFIG, **options)
    return model


@pytest.mark.parametrize(("count", "sizes"), [(16, 1), (21, 2)])
def test_each_size_of_a_batch_is_compiled_once_and_training_is_the_same(compilations, count, sizes):
    states = [trained(count, compiled=compiled).state_dict() for compiled in (False, True)]
    assert len(compilations) == sizes
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())


def test_the_tenth_training_of_a_process_is_compiled_too(compilations):
    """Torch gives a code up after eight compilations, and says so in a warning alone."""
    for count in range(2, 12):
        fit(nn.Linear(3, 2), rows(count), None, CrossEntropy(), TrainingConfig(epochs=1), compiled=True)
    assert len(compilations) == 10


def test_a_compiler_that_fails_is_one_line_before_the_first_step(monkeypatch, tmp_path: Path):
    def fail(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("No working C++ compiler found\nin two lines")

    monkeypatch.setattr(compiled_loss, "BACKEND", fail)
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    steps: list[int] = []
    with pytest.raises(
        InputError, match=r"could not be compiled .No working C\+\+ compiler found."
    ) as caught:
        fit(
            model,
            rows(8),
            None,
            CrossEntropy(),
            CONFIG,
            folder=tmp_path,
            compiled=True,
            on_step=lambda *_: steps.append(1),
        )
    assert "\n" not in str(caught.value)
    assert "a C++ compiler such as g++" in str(caught.value)
    assert not steps
    assert torch.equal(model.weight, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("head", "n_processes", "words"),
    [("dressed", 1, "with a circuit"), ("svc", 1, "a solver of its own"), ("mlp", 2, "in 2 processes")],
)
def test_what_cannot_be_compiled_is_refused_by_name(head, n_processes, words):
    check_compilable(built_head("mlp", 3, 2), 1)
    with pytest.raises(InputError, match=words):
        check_compilable(built_head(head, 3, 2), n_processes)
