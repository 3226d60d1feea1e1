"""A model, and a Hub on the loopback interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub.loopback_hub import LoopbackHub

from hybridqies import HybridClassifier
from hybridqies.text import Encoder

Sentences = Callable[[int], tuple[list[str], list[str]]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    from huggingface_hub import constants

    with LoopbackHub() as served:
        for name, value in {
            "ENDPOINT": served.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": served.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
            "HF_TOKEN_PATH": str(tmp_path / "none"),
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield served


@pytest.fixture(scope="module")
def model(
    encoder: Encoder, sentences: Sentences, tmp_path_factory: pytest.TempPathFactory
) -> HybridClassifier:
    made = HybridClassifier(encoder, "dressed", n_qubits=3, epochs=2, learning_rate=0.05, cache=False)
    return made.fit(*sentences(40))
