"""A sentence encoder from end to end: measured by a logistic head, compressed, saved as a plain model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies.cli.app import run
from hybridqies.compression import Accuracy, EncoderConfig, measure_accuracy, shrink_encoder
from hybridqies.errors import InputError
from hybridqies.text import Encoder, few_shot, load_dataset


def configure(tiny_encoder: Path, reviews: Path, **given: Any) -> EncoderConfig:
    chosen = {"method": "wmpo", "keep": 0.5, "layers": ("query", "key", "*.intermediate.dense"), "texts": 40}
    return EncoderConfig(str(tiny_encoder), data=str(reviews), **{**chosen, **given})


def test_accuracies_have_wilsons_interval_and_paired_differences():
    first = Accuracy(torch.tensor([True] * 8 + [False] * 2), 1.0)
    second = Accuracy(torch.tensor([True] * 7 + [False] * 3), 1.0)
    # Wilson, 8 of 10: [0.4902, 0.9433].
    assert (first.interval.value, first.interval.low, first.interval.high) == pytest.approx(
        (0.8, 0.4902, 0.9433), abs=1e-4
    )
    found = first.difference_to(second)
    half = 1.959964 * math.sqrt(0.1 * 0.9 / 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    assert first.difference_to(first).high == 0


def test_an_encoder_is_compressed_beside_its_controls_and_loads_as_any(tiny_encoder, reviews, tmp_path):
    report = shrink_encoder(configure(tiny_encoder, reviews), tmp_path / "out")
    arms = {arm["arm"]: arm for arm in report["arms"]}
    assert list(arms) == ["untouched", "wmpo", "svd", "wsvd", "zero", "gaussian"]
    whole = arms["untouched"]["layer_parameters"]
    assert whole == 3 * 32 * 32
    assert arms["wmpo"]["layer_parameters"] <= whole / 2
    assert arms["zero"]["layer_parameters"] == 0
    assert arms["untouched"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert arms["untouched"]["accuracy"]["value"] > 0.7
    assert report["data"]["rows"] == {"train": 96, "test": 24}
    assert json.loads((tmp_path / "out" / "compression.json").read_text()) == report
    before, after = Encoder.load(tiny_encoder), Encoder.load(tmp_path / "out")
    texts = ["good", "bad and good"]
    assert after.dimension == before.dimension
    assert after.fingerprint != before.fingerprint
    assert 1e-4 < torch.dist(after.encode(texts), before.encode(texts)) < before.encode(texts).norm()


def test_the_saved_encoder_has_the_accuracy_of_the_report(tiny_encoder, reviews, tmp_path):
    config = configure(tiny_encoder, reviews, method="wsvd", per_class=20)
    report = shrink_encoder(config, tmp_path / "out")
    assert report["data"]["per_class"]["train"] == {"bad": 20, "good": 20}
    drawn = few_shot(load_dataset(str(reviews)), 20, 0.0, 0)
    again = measure_accuracy(Encoder.load(tmp_path / "out").copy_model(), drawn)
    assert again.interval.value == report["arms"][1]["accuracy"]["value"]
    assert len(again.correct) == 80


def test_the_command_shows_accuracies(tiny_encoder, reviews, tmp_path, capsys):
    words = [str(tiny_encoder), "--data", str(reviews), "--layers", "query", "--method", "svd"]
    assert run(["compress", *words, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "on 24 test texts" in printed
    assert "accuracy" in printed
    assert "gaussian" in printed


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "compress was given neither; expected --text for a language model, or --data"),
        (["--data", "some", "--text", "some"], "compress was given both"),
        (["--data", "some", "--heal", "some"], "--heal was given with --data"),
        (["--data", "some", "--width", "8"], "--width was given with --data"),
        (["--data", "some", "--set", "heal.width=8"], "heal.width was set without --heal"),
        (["--data", "some", "--export", "factorised"], "--export factorised was given with --data"),
        (["--text", "some", "--per-class", "8"], "--per-class was given with --text"),
        (["--data", "some", "--keep", "3"], "above 0 and up to 1"),
    ],
)
def test_flags_of_the_other_kind_are_refused(tmp_path, capsys, flags, said):
    words = ["compress", "nowhere", "--layers", "query", "--out", str(tmp_path / "out"), *flags]
    assert run(words) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


def test_data_without_test_texts_and_pairs_are_refused(tiny_encoder, reviews, tmp_path):
    with pytest.raises(InputError, match="leaves no test texts"):
        shrink_encoder(configure(tiny_encoder, reviews, test_fraction=0.0), tmp_path / "out")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("text,text_pair,label\na,b,0\nc,d,1\n")
    with pytest.raises(InputError, match="has pairs of texts"):
        shrink_encoder(configure(tiny_encoder, pairs), tmp_path / "out")
    with pytest.raises(InputError, match="did you mean 'query'"):
        shrink_encoder(configure(tiny_encoder, reviews, layers=("qery",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
