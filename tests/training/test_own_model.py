"""The guide's example of a model of one's own runs, and goes on from its checkpoint."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "own_model.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("own_model", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up.
    sys.modules["own_model"] = module
    spec.loader.exec_module(module)
    return module


def test_it_learns_to_count_and_resumes(example: ModuleType, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        outcome = example.train(tmp_path)
        assert outcome.history[0]["train_loss"] < math.log(10)
        assert outcome.history[-1]["validation_loss"] < 0.2
        assert example.train(tmp_path) == outcome


def test_the_guide_shows_it() -> None:
    assert "literalinclude} ../examples/own_model.py" in (DOCS / "concepts" / "training.md").read_text()
