"""`LanguageModel`: it learns, scores, writes, is saved, and goes on after a kill to the same bits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies.errors import DataError, InputError, ModelFolderError, UnknownNameError
from hybridqies.language_model import LanguageModel, LanguageModelConfig
from hybridqies.lm import Decoder, DecoderConfig, Mixing
from hybridqies.tasks.language_modelling import JointNextToken
from hybridqies.training import Batch, TokenStream, TrainingConfig, compiled_loss, token_losses
from hybridqies.training.checkpoint import CHECKPOINT

# Windows of 8 begin at every letter of it.
TEXT = "abcdefg" * 60
OPTIONS: dict[str, Any] = {
    "size": "3k",
    "context": 8,
    "n_tokens": 3000,
    "settings": {"n_layers": 1, "width": 16, "rank": 2},
    "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.02},
}


class Killed(BaseException):
    """Ends a training from within, as a kill would."""


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel(arm="entangled", **OPTIONS).fit(TEXT)


def test_it_learns_a_text_and_writes_on(model):
    assert model.generate("abcd", 12, temperature=0) == "efgabcdefgab"
    score = model.score(TEXT)
    assert score.perplexity == pytest.approx(math.exp(score.loss)) == pytest.approx(model.perplexity(TEXT))
    assert score.perplexity < 1.3
    assert score.interval[0] <= score.perplexity <= score.interval[1]
    # One byte a character.
    assert score.bits_per_byte == pytest.approx(score.loss / math.log(2))
    assert score.n_tokens == 52 * 7


def test_a_score_is_the_mean_loss_of_windows(model):
    ids = torch.tensor(model.tokens.encode("gfedcbaa" + "aabbccdd")).reshape(2, 8)
    with torch.no_grad():
        expected = float(token_losses(model.decoder, ids).mean())
    assert model.score("gfedcbaa" + "aabbccdd" + "abc").loss == pytest.approx(expected, rel=1e-6)
    short = model.score("abc")
    assert short.interval is None
    assert short.n_tokens == 2


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_a_saved_model_is_the_same(tmp_path, model, kind):
    if kind == "bpe":
        model = LanguageModel(
            **{**OPTIONS, "size": "7k", "tokens": "bpe", "vocabulary": 260, "n_tokens": 64}
        ).fit(TEXT)
    model.save_pretrained(tmp_path / "saved")
    again = LanguageModel.from_pretrained(tmp_path / "saved")
    assert again.generate("abc", 9, seed=3) == model.generate("abc", 9, seed=3)
    assert again.score("abcdabcd").loss == model.score("abcdabcd").loss
    assert again.config == model.config


@pytest.mark.parametrize(
    "harm", ["no folder", "cut weights", "altered config", "no tokens", "other kind", "unfinished"]
)
def test_a_damaged_folder_is_refused(tmp_path, model, harm):
    folder = tmp_path / "saved"
    if harm != "no folder":
        model.save_pretrained(folder)
    config = folder / "config.json"
    if harm == "cut weights":
        (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9])
    if harm == "altered config":
        config.write_text(config.read_text().replace('"rank": 2', '"rank": 3'))
    if harm in ("no tokens", "other kind", "unfinished"):
        from hybridqies.records import read_record, write_record

        changed: dict[str, dict[str, Any]] = {
            "no tokens": {"tokens": {}},
            "other kind": {"kind": "head"},
            "unfinished": {"decoder": None},
        }
        write_record(config, {**read_record(config), **changed[harm]})
    with pytest.raises(ModelFolderError):
        LanguageModel.from_pretrained(folder)


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, model, killed_after):
    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == killed_after:
            raise Killed

    with pytest.raises(Killed):
        LanguageModel(arm="entangled", **OPTIONS).fit(TEXT, folder=tmp_path, on_epoch=stop)
    steps: list[tuple[int, int]] = []
    again = LanguageModel(arm="entangled", **OPTIONS)
    again.fit(TEXT, folder=tmp_path, resume=True, on_step=lambda *each: steps.append(each))
    # 125 windows in 8s for each epoch.
    assert steps[0] == (16 * killed_after + 1, 48)
    state = again.decoder.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.decoder.state_dict().items())
    with pytest.raises(ModelFolderError, match="other settings or data"):
        LanguageModel(arm="entangled", **OPTIONS).fit(TEXT + "a", folder=tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).is_file()


def test_a_stream_reads_on_in_each_epoch_and_begins_again_at_the_end():
    stream = TokenStream(torch.arange(10), 4, 2)
    assert stream.of_epoch(0).ids.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert stream.of_epoch(1).ids.tolist() == [[8, 9, 0, 1], [2, 3, 4, 5]]
    assert torch.equal(stream[:].inputs, stream.of_epoch(0).ids)
    assert (
        len({stream.fingerprint, *(TokenStream(torch.arange(10), *c).fingerprint for c in ((4, 1), (2, 2)))})
        == 3
    )
    for width, n_windows in ((1, 2), (11, 1), (4, 0)):
        with pytest.raises(InputError, match="at least one window"):
            TokenStream(torch.arange(10), width, n_windows)


def test_every_epoch_trains_on_the_next_part_of_the_text():
    model = LanguageModel(arm="real", **{**OPTIONS, "n_tokens": 48})
    seen: list[str] = []
    forward = Decoder.forward

    def watch(self: Decoder, ids: torch.Tensor, **more: Any) -> Any:
        if self.training:
            seen.extend(model.tokens.decode(row.tolist()) for row in ids)
        return forward(self, ids, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "forward", watch)
        model.fit("abcdefghij" * 20, "abcdefghij")
    assert sorted(seen[:2]) == ["abcdefgh", "ijabcdef"]
    assert sorted(seen[2:4]) == ["efghijab", "ghijabcd"]


def test_the_joint_objective_is_the_sum_of_its_terms():
    config = DecoderConfig(5, 8, 8, 1, 2, 8, mixing=Mixing.ENTANGLED, rank=2)
    model = Decoder(config).double()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.2 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    ids = torch.randint(0, 5, (3, 8), generator=torch.Generator().manual_seed(0))
    batch = Batch(ids, ids)
    with torch.no_grad():
        answer = model(ids, local=True, entropy=True)
    terms = [
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        for logits in (answer.logits, answer.local_logits)
    ]
    for local, weight in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.3), (0.5, -0.3)):
        expected = terms[0] + local * terms[1] - weight * answer.entropy
        assert float(JointNextToken(local, weight).loss(model, batch).detach()) == pytest.approx(
            float(expected)
        )
    described = {json.dumps(JointNextToken(*each).describe()) for each in ((0, 0), (1, 0), (0, 1))}
    assert len(described) == 3


def test_a_positive_weight_raises_the_entanglement():
    levels = []
    for weight in (-1.0, 1.0):
        model = LanguageModel(arm="entangled", entanglement_weight=weight, **OPTIONS).fit(TEXT)
        with torch.no_grad():
            ids = torch.tensor([model.tokens.encode("abcdefga")])
            levels.append(float(model.decoder(ids, entropy=True).entropy))
    assert levels[0] < 0.2 < 0.5 < levels[1]


HALF: dict[str, Any] = {**OPTIONS, "training": {**OPTIONS["training"], "compute": {"precision": "bf16"}}}


@pytest.mark.parametrize("arm", ["entangled", "complex"])
def test_it_trains_in_half_precision(arm):
    weights = {"entanglement_weight": 0.01, "local_weight": 0.1} if arm == "entangled" else {}
    found = []
    for options in (HALF, OPTIONS):
        model = LanguageModel(**{**options, "arm": arm, **weights}).fit(TEXT)
        assert {value.dtype for value in model.decoder.parameters()} == {torch.float32}
        assert model.outcome is not None
        found.append([record["train_loss"] for record in model.outcome.history] + [model.score(TEXT).loss])
    # Rounding to 8 bits moves training, but not where it leads.
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], abs=0.02)


def test_a_killed_training_in_half_precision_goes_on_to_the_same_bits(tmp_path):
    def stop(record: dict[str, Any]) -> None:
        raise Killed

    whole = LanguageModel(arm="entangled", **HALF).fit(TEXT)
    with pytest.raises(Killed):
        LanguageModel(arm="entangled", **HALF).fit(TEXT, folder=tmp_path, on_epoch=stop)
    with pytest.raises(ModelFolderError, match="other settings or data"):
        LanguageModel(arm="entangled", **OPTIONS).fit(TEXT, folder=tmp_path, resume=True)
    state = (
        LanguageModel(arm="entangled", **HALF).fit(TEXT, folder=tmp_path, resume=True).decoder.state_dict()
    )
    assert all(torch.equal(state[name], value) for name, value in whole.decoder.state_dict().items())


# Batches of one size: 64 windows in 8s for each part.
EVEN: dict[str, Any] = {**OPTIONS, "n_tokens": 3 * 64 * 8}


def train_compiled(backend: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> LanguageModel:
    monkeypatch.setattr(compiled_loss, "BACKEND", backend)
    return LanguageModel(arm="entangled", **EVEN).fit(TEXT, compiled=True, **options)


def losses_of(model: LanguageModel) -> list[float]:
    assert model.outcome is not None
    return [record[f"{part}_loss"] for record in model.outcome.history for part in ("train", "validation")]


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_training_has_the_same_losses(monkeypatch, backend):
    plain = LanguageModel(arm="entangled", **EVEN).fit(TEXT)
    compiled = train_compiled(backend, monkeypatch)
    assert losses_of(compiled) == pytest.approx(losses_of(plain), abs=1e-5)
    assert list(compiled.decoder.state_dict()) == list(plain.decoder.state_dict())
    assert compiled.config == plain.config


def test_a_compiled_training_goes_on_compiled_or_not(monkeypatch, tmp_path):
    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise Killed

    whole = train_compiled("eager", monkeypatch)
    with pytest.raises(Killed):
        train_compiled("eager", monkeypatch, folder=tmp_path, on_epoch=stop)
    cut = (tmp_path / CHECKPOINT).read_bytes()
    assert b"_orig_mod" not in cut
    state = train_compiled("eager", monkeypatch, folder=tmp_path, resume=True).decoder.state_dict()
    assert all(torch.equal(state[name], value) for name, value in whole.decoder.state_dict().items())
    (tmp_path / CHECKPOINT).write_bytes(cut)
    plain = LanguageModel(arm="entangled", **EVEN).fit(TEXT, folder=tmp_path, resume=True)
    assert losses_of(plain) == pytest.approx(losses_of(whole), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"arm": "entangle"}, UnknownNameError, "'entangled'"),
        ({"arm": "tap", "entanglement_weight": 0.1}, InputError, "entanglement layers"),
        ({"arm": "real", "local_weight": 0.1}, InputError, "mixing layers"),
        ({"size": "big"}, InputError, "such as 65k"),
        ({"n_tokens": 0}, InputError, "'n_tokens'"),
        ({"layers": 2}, UnknownNameError, "unknown language model option 'layers'"),
        ({"config": LanguageModelConfig(), "arm": "real"}, InputError, "one of them"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        LanguageModel(**options)


def test_what_it_cannot_do_is_refused(model):
    with pytest.raises(InputError, match="has not been fitted"):
        LanguageModel().generate("a")
    with pytest.raises(DataError, match="'z'"):
        model.generate("z")
    with pytest.raises(DataError, match="1 tokens"):
        model.perplexity("a")
    with pytest.raises(DataError, match="to validate on"):
        LanguageModel(**OPTIONS).fit(TEXT, "abc")


def test_the_training_configuration_may_be_an_object():
    config = TrainingConfig(epochs=1, batch_size=4)
    assert LanguageModel(training=config).config.training == config
    assert LanguageModel(training=config, size="1k").config.size == "1k"


def test_weights_are_where_the_folder_says(tmp_path: Path, model: LanguageModel) -> None:
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_model_that_was_loaded_or_whose_training_failed_begins_anew(tmp_path, model):
    """Weights that a training has touched are no start of another one."""

    def stop(done: int, _total: int) -> None:
        if done == 5:
            raise Killed

    failed = LanguageModel(arm="entangled", **OPTIONS)
    with pytest.raises(Killed):
        failed.fit(TEXT, on_step=stop)
    model.save_pretrained(tmp_path / "saved")
    for again in (failed, LanguageModel.from_pretrained(tmp_path / "saved")):
        state = again.fit(TEXT).decoder.state_dict()
        assert all(torch.equal(state[name], value) for name, value in model.decoder.state_dict().items())


def test_byte_pairs_are_learnt_from_what_is_trained_on_alone():
    options = {**OPTIONS, "size": "7k", "tokens": "bpe", "vocabulary": 260, "n_tokens": 64}
    for text in (("ab " * 60, "xy " * 20), ("ab " * 180 + "xy " * 20,)):
        tokens = LanguageModel(**options).fit(*text).tokens
        assert len(tokens.encode("abab")) == 2
        assert len(tokens.encode("xyxy")) == 4


def test_the_coldest_temperature_takes_the_likeliest(model):
    coldest = model.generate("abcd", 6, temperature=5e-324)
    assert coldest == model.generate("abcd", 6, temperature=0) == "efgabc"
