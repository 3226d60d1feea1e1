"""A sentence encoder from end to end: measured by a logistic head, compressed, saved as a plain model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies.cli.app import run
from hybridqies.compression import (
    Accuracy,
    CompressedLinear,
    EncoderConfig,
    EncoderHealing,
    TaskData,
    compress,
    heal_encoder,
    measure_accuracy,
    shrink_encoder,
)
from hybridqies.errors import DataError, InputError, ModelFolderError
from hybridqies.text import Encoder, few_shot, load_dataset, split


def configure(tiny_encoder: Path, reviews: Path, **given: Any) -> EncoderConfig:
    chosen = {"method": "wmpo", "keep": 0.5, "layers": ("query", "key", "*.intermediate.dense"), "texts": 40}
    parts = {name: given.pop(name) for name in ("per_class", "test_fraction") if name in given}
    return EncoderConfig(str(tiny_encoder), data=TaskData(str(reviews), **parts), **{**chosen, **given})


@pytest.fixture
def lesson(tmp_path: Path, sentences: Any) -> Path:
    file = tmp_path / "lesson.txt"
    file.write_text("\n\n".join(sentences(64)[0]))
    return file


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


def test_dense_and_factorised_exports_embed_alike(tiny_encoder, reviews, tmp_path):
    texts = ["good", "bad and good"]
    found = {}
    for export in ("factorised", "dense"):
        shrink_encoder(configure(tiny_encoder, reviews, export=export), tmp_path / export)
        encoder = Encoder.load(tmp_path / export)
        n_compressed = sum(isinstance(each, CompressedLinear) for each in encoder.copy_model().modules())
        assert n_compressed == (3 if export == "factorised" else 0)
        found[export] = encoder
    assert found["dense"].fingerprint != found["factorised"].fingerprint
    assert torch.dist(found["dense"].encode(texts), found["factorised"].encode(texts)) < 1e-5


def test_profiles_measure_the_change_of_embeddings_and_spare_the_worst(tiny_encoder, reviews, tmp_path):
    config = configure(tiny_encoder, reviews, method="svd", profile=True, spare=0.4)
    report = shrink_encoder(config, tmp_path / "out")
    assert [row["name"] for row in report["profile_by_type"]] == ["query", "key", "dense"]
    worst = max(report["profile"], key=lambda row: row["measured"]["value"])
    assert report["spared"] == [worst["name"]]
    assert report["arms"][1]["layer_parameters"] <= 3 * 32 * 32 / 2
    # What was measured of the worst layer, done by hand.
    model: Any = Encoder.load(tiny_encoder).copy_model()
    seen = list(load_dataset_texts(reviews, config))
    before = model.encode(seen, convert_to_tensor=True)
    compress(model, "svd", 0.5, [worst["name"]])
    after = model.encode(seen, convert_to_tensor=True)
    change = ((after - before).square().sum(1) / before.square().sum(1)).mean()
    assert worst["measured"]["value"] == pytest.approx(float(change), rel=1e-3)
    assert len(report["profile"]) == 3


def load_dataset_texts(reviews: Path, config: EncoderConfig) -> list[str]:
    drawn = split(load_dataset(str(reviews)), 0.0, config.data.test_fraction, config.seed)
    return [str(text) for text in drawn.train.texts[: config.texts]]


def test_healing_brings_embeddings_back_and_trains_the_cores_alone(tiny_encoder, sentences):
    encoder = Encoder.load(tiny_encoder)
    model: Any = encoder.copy_model()
    texts = sentences(64)[0]
    targets = model.encode(texts, convert_to_tensor=True).clone()
    compress(model, "mpo", 0.5, ["query", "*.intermediate.dense", "*.output.dense"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    worse = torch.dist(model.encode(texts, convert_to_tensor=True), targets)
    healing = EncoderHealing("", epochs=3, learning_rate=0.01)
    outcome = heal_encoder(model, encoder.tokenise(texts), targets, healing)
    assert outcome.history[-1]["train_loss"] < 0.7 * outcome.history[0]["train_loss"]
    assert torch.dist(model.encode(texts, convert_to_tensor=True), targets) < 0.8 * worse
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if ".cores." in name}


def test_interrupted_healing_goes_on_to_the_same_encoder(tiny_encoder, reviews, lesson, tmp_path):
    healing = EncoderHealing(str(lesson), texts=64, epochs=3, learning_rate=0.01)
    config = configure(tiny_encoder, reviews, method="svd", heal=healing)
    report = shrink_encoder(config, tmp_path / "whole")
    assert [arm["arm"] for arm in report["arms"][:3]] == ["untouched", "svd", "svd healed"]
    steps = []

    def stop(stage: str, done: int, total: int) -> None:
        steps.append((stage, done))
        if stage == "healing" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shrink_encoder(config, tmp_path / "out", stop)
    assert not (tmp_path / "out").exists()
    other = configure(tiny_encoder, reviews, method="mpo", heal=healing)
    with pytest.raises(ModelFolderError, match="other settings or data"):
        shrink_encoder(other, tmp_path / "out", resume=True)
    steps.clear()
    shrink_encoder(config, tmp_path / "out", lambda stage, done, _: steps.append((stage, done)), resume=True)
    # The first epoch, of two steps, is not repeated.
    assert [done for stage, done in steps if stage == "healing"] == [3, 4, 5, 6]
    assert Encoder.load(tmp_path / "out").fingerprint == Encoder.load(tmp_path / "whole").fingerprint
    assert sorted(each.name for each in tmp_path.iterdir()) == ["lesson.txt", "out", "whole"]


def test_a_short_lesson_is_refused(tiny_encoder, reviews, lesson, tmp_path):
    config = configure(tiny_encoder, reviews, heal=EncoderHealing(str(lesson), texts=65))
    with pytest.raises(DataError, match="the text has 64 lines; expected 65"):
        shrink_encoder(config, tmp_path / "out")


def test_the_command_heals_profiles_and_trains_on_what_it_wrote(
    tiny_encoder, reviews, lesson, tmp_path, capsys
):
    small = str(tmp_path / "small")
    words = ["--data", str(reviews), "--layers", "query,key", "--method", "svd", "--profile"]
    healing = ["--heal", str(lesson), "--set", "heal.texts=64"]
    assert run(["compress", str(tiny_encoder), *words, *healing, "--out", small]) == 0
    printed = capsys.readouterr().out
    assert "svd healed" in printed
    assert "change of embeddings" in printed
    again = ["train", "--data", str(reviews), "--encoder", small, "--out", str(tmp_path / "run")]
    assert run([*again, "--head", "logistic", "--no-cache"]) == 0


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
        (["--data", "some", "--resume"], "--resume was given without --heal"),
        (["--data", "some", "--heal", "some", "--set", "heal.width=8"], "unknown option 'heal.width'"),
        (["--data", "some", "--heal", "some", "--set", "heal.texts=0"], "'texts' was given 0"),
        (["--data", "some", "--heal", "some", "--method", "zero"], "leaves nothing to train"),
        (["--data", "some", "--spare", "0.5"], "less than keep"),
        (["--data", "some", "--width", "8"], "--width was given with --data"),
        (["--data", "some", "--set", "heal.texts=8"], "heal.texts was set without --heal"),
        (["--data", "some", "--export", "whole"], "expected factorised or dense"),
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
