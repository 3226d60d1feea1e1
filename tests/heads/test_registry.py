"""The table of heads: what a class says of itself, and heads of other packages."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from built_heads import built_head

from hybridqies import defaults, extensions, heads
from hybridqies.errors import CapabilityError, UnknownNameError
from hybridqies.heads import (
    HEADS,
    head_class,
    head_names,
    matching,
    quantum_heads,
)
from hybridqies.training.objectives import Solvable

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "own_head.py"


@pytest.fixture
def announce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Installs a distribution of one module and one entry point, for one test."""
    shutil.copy(EXAMPLE, tmp_path)

    def install(name: str, target: str) -> None:
        folder = tmp_path / "own_head-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own-head\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[hybridqies.heads]\n{name} = {target}\n")
        monkeypatch.syspath_prepend(tmp_path)
        extensions._announced.cache_clear()

    yield install
    monkeypatch.undo()
    sys.modules.pop("own_head", None)
    extensions._announced.cache_clear()


@pytest.mark.parametrize("name", HEADS)
def test_a_class_says_what_its_head_is(name: str) -> None:
    found = head_class(name)
    fields = {field.name for field in dataclasses.fields(found.Config)}
    assert found.name == name
    assert found.is_solved == issubclass(found, Solvable)
    assert bool(found.recipes) == found.runs_circuit == (name in quantum_heads())
    for part, field in found.recipes.items():
        assert {field, f"{part}_options"} <= fields
    assert not found.matches or found.matches in fields


def test_the_quantum_heads_and_the_one_that_matches() -> None:
    assert quantum_heads()[:3] == ["two-module", "dressed", "reupload"]
    assert defaults.HEAD in HEADS
    assert {name: matching(name, 7) for name in HEADS if matching(name, 7)} == {"matched-mlp": {"target": 7}}


def test_an_entry_point_announces_a_head(announce: Callable[[str, str], None]) -> None:
    assert "nearest-centre" not in head_names()
    announce("nearest-centre", "own_head:NearestCentre")
    assert head_names()[-1] == "nearest-centre"
    assert "own_head" not in sys.modules
    head = built_head("nearest-centre", 3, 2, temperature=2.0)
    assert head.describe().n_parameters == head.n_trained() == 6
    with torch.no_grad():
        head.centres.zero_()  # type: ignore[operator]
    assert head(torch.tensor([[3.0, 4.0, 0.0]])).tolist() == [[-2.5, -2.5]]
    with pytest.raises(UnknownNameError, match="did you mean 'nearest-centre'"):
        head_class("nearest-center")


@pytest.mark.parametrize(
    ("name", "target", "called", "message"),
    [
        ("broken", "no_such_module:Head", "broken", "cannot be loaded.*repair or remove that package"),
        ("wrong", "json:dumps", "wrong", "expected a subclass of hybridqies.heads.base.Head"),
        ("svc", "own_head:no_such_name", "own-head.svc", "cannot be loaded"),
    ],
)
def test_a_package_whose_head_cannot_be_used_is_named(
    announce: Callable[[str, str], None], name: str, target: str, called: str, message: str
) -> None:
    announce(name, target)
    assert head_class("svc").__module__ == "hybridqies.heads.svc"
    with pytest.raises(CapabilityError, match=f"head '{called}' of package own-head .*{message}"):
        head_class(called)


def test_an_unknown_attribute_of_the_package_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Heads'"):
        _ = heads.Heads
