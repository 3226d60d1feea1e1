"""The example that serves a model, with the client of its framework."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridqies import HybridClassifier

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "serve.py"
pytestmark = pytest.mark.usefixtures("own_cache")


def test_twenty_lines() -> None:
    code = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(code) <= 20


def test_the_service_says_what_the_model_says(
    encoder: Any, sentences: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi")
    testclient = pytest.importorskip("starlette.testclient")
    texts, labels = sentences(20)
    model = HybridClassifier(encoder, "logistic").fit(texts, labels)
    model.save_pretrained(tmp_path / "model")
    monkeypatch.setenv("RUN", str(tmp_path / "model"))
    client = testclient.TestClient(runpy.run_path(str(EXAMPLE))["app"])
    answer = client.post("/predict", json=texts[:3])
    assert answer.status_code == 200
    assert [each["label"] for each in answer.json()] == [str(each) for each in model.predict(texts[:3])]
    shown = [list(each["probabilities"].values()) for each in answer.json()]
    assert np.array(shown) == pytest.approx(model.predict_proba(texts[:3]))
    bad: tuple[Any, ...] = ([], [""], [" "], ["a"] * 257, {}, [1])
    for wrong in bad:
        assert client.post("/predict", json=wrong).status_code == 422
