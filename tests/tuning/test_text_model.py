"""A head and an encoder that is tuned with it or before it, from texts to a saved model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies import HybridClassifier
from hybridqies.backends import load_backend
from hybridqies.errors import DataError, InputError
from hybridqies.roles import Role, roles_of
from hybridqies.tasks import DataOptions, ModelSpec
from hybridqies.tasks.text_classification import TextClassification, TextData
from hybridqies.text import Dataset, EmbeddingCache, Encoder, Examples
from hybridqies.training import TrainingConfig
from hybridqies.tuning import EncoderChange, TextModel, TuneBy, TunedEncoder, Tuning
from hybridqies.tuning.methods import METHODS
from hybridqies.tuning.store import TuningStore
from hybridqies.tuning.tunable import TunableEncoder

Sentences = Callable[[int], tuple[list[str], list[str]]]
TUNED: dict[str, Any] = {"head": "dressed", "n_qubits": 2, "tune": "full", "epochs": 2}

pytestmark = pytest.mark.filterwarnings("ignore::hybridqies.training.TrainingWarning")


@pytest.fixture
def encoder(tiny_encoder: Path) -> Encoder:
    return Encoder.load(tiny_encoder)


@pytest.fixture
def data(encoder: Encoder, sentences: Sentences) -> TextData:
    texts, labels = sentences(12)
    dataset = Dataset.of("sentences", Examples(tuple(texts), tuple(labels)))
    return TextData(dataset, DataOptions(), encoder)


@pytest.fixture
def pairs(encoder: Encoder, sentences: Sentences) -> TextData:
    texts, labels = sentences(24)
    entries = tuple(zip(texts[:12], texts[12:], strict=True))
    return TextData(Dataset.of("pairs", Examples(entries, tuple(labels[:12]))), DataOptions(), encoder)


SPEC = ModelSpec("dressed", n_qubits=2, tuning=Tuning("full"))


def test_tokens_give_the_embeddings_of_the_encoder(data: TextData, encoder: Encoder) -> None:
    module = TunableEncoder(encoder, Tuning("full"), 0).eval()
    texts = list(map(str, data.dataset.train.texts))
    tokens = encoder.tokenise(texts)
    with torch.no_grad():
        found = module(tokens[torch.arange(len(texts))])
    torch.testing.assert_close(found, encoder.encode(texts), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["data", "pairs"])
def test_a_gradient_reaches_a_weight_of_the_encoder(kind: str, request: pytest.FixtureRequest) -> None:
    """Against central differences, in float64."""
    data: TextData = request.getfixturevalue(kind)
    model = data.build(SPEC, load_backend("statevector"), 0).double().eval()
    rows = data.rows(data.dataset.train, SPEC)
    objective = data.objective(TrainingConfig(), rows)
    batch = rows[torch.arange(len(rows))]
    objective.loss(model, batch).backward()
    name, weight = next(
        (name, each)
        for name, each in model.named_parameters()
        if each.requires_grad and "attention.self.value.weight" in name
    )
    assert roles_of(model)[name] is Role.ENCODER
    assert weight.grad is not None
    step = 1e-6
    with torch.no_grad():
        losses = []
        for sign in (1, -1):
            weight[3, 5] += sign * step
            losses.append(float(objective.loss(model, batch)))
            weight[3, 5] -= sign * step
    slope = (losses[0] - losses[1]) / (2 * step)
    assert abs(slope) > 1e-6
    assert float(weight.grad[3, 5]) == pytest.approx(slope, rel=1e-5)


def test_a_pair_is_read_as_its_two_embeddings(pairs: TextData, encoder: Encoder) -> None:
    model = pairs.build(SPEC, load_backend("statevector"), 0).eval()
    tokens = pairs.rows(pairs.dataset.train, SPEC).inputs
    assert isinstance(model, TextModel)
    assert model.head.n_inputs == pairs.n_inputs == 4 * encoder.dimension
    firsts, seconds = zip(*pairs.dataset.train.texts, strict=True)
    u, v = encoder.encode(firsts), encoder.encode(seconds)
    expected = torch.cat([u, v, (u - v).abs(), u * v], dim=1)
    torch.testing.assert_close(model.embed(tokens), expected, atol=1e-5, rtol=1e-5)
    frozen = pairs.rows(pairs.dataset.train, ModelSpec("dressed", n_qubits=2)).inputs
    assert torch.equal(frozen, expected)
    with torch.no_grad():
        torch.testing.assert_close(
            model(tokens[slice(2, 5)]), model.head(expected[2:5]), atol=1e-4, rtol=1e-4
        )


def tuned_encoder(model: HybridClassifier) -> TunedEncoder:
    encoder = model.model_.encoder
    assert isinstance(encoder, TunedEncoder)
    return encoder


# What is tuned, by what, and which head: every method, everything to tune by, heads of both kinds.
WAYS: list[tuple[str, str | None, str]] = [
    *((method, None, "dressed") for method in METHODS if method != "none"),
    ("lora", "linear", "dressed"),
    ("quanta", "supcon", "mlp"),
    ("full", "pairs", "svc"),
    ("circuit", None, "logistic"),
]


@pytest.mark.parametrize(("method", "by", "head"), WAYS)
def test_it_trains_saves_and_loads(
    method: str, by: str | None, head: str, encoder: Encoder, sentences: Sentences, tmp_path: Path
) -> None:
    texts, labels = sentences(24)
    options: dict[str, Any] = {"n_qubits": 2} if head == "dressed" else {}
    options |= {} if by is None else {"tune__by": by}
    cache = EmbeddingCache(tmp_path / "cache")
    model = HybridClassifier(
        encoder, head, tune=method, tune__epochs=1, epochs=1, cache=cache, **options
    ).fit(texts, labels, validation=0.25)
    tuned = tuned_encoder(model)
    assert tuned.base is encoder
    assert tuned.fingerprint != encoder.fingerprint
    assert (tuned.encode(texts) != encoder.encode(texts)).any()
    again = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path / "m"), cache=cache)
    assert (again.predict_proba(texts) == model.predict_proba(texts)).all()
    assert again.get_params()["tune"] == method
    assert (again.model_.spec.tuning.by is not None) or by is None
    refitted = again.fit(texts, labels, validation=0.25)
    assert (refitted.predict_proba(texts) == model.predict_proba(texts)).all()


def test_the_head_is_trained_on_what_the_tuned_encoder_gives(encoder: Encoder, sentences: Sentences) -> None:
    """Tuned first: the same head on the embeddings of the tuned encoder, as if it were any other."""
    texts, labels = sentences(24)
    model = HybridClassifier(encoder, "logistic", tune="lora", cache=False).fit(texts, labels)
    tuned = tuned_encoder(model)
    plain = HybridClassifier(tuned, "logistic", cache=False).fit(texts, labels)
    assert (plain.predict_proba(texts) == model.predict_proba(texts)).all()


def test_what_was_tuned_is_kept_for_the_next_head(
    encoder: Encoder, sentences: Sentences, tmp_path: Path
) -> None:
    texts, labels = sentences(24)
    options: dict[str, Any] = {"tune": "lora", "tune__by": "linear", "tune__epochs": 1, "epochs": 1}
    cache = EmbeddingCache(tmp_path)
    logistic = HybridClassifier(encoder, "logistic", cache=cache, **options).fit(texts, labels)
    (kept,) = (tmp_path / "tuned").iterdir()
    before = kept.stat().st_mtime_ns
    other = HybridClassifier(encoder, "mlp", cache=cache, **{**options, "epochs": 2}).fit(texts, labels)
    assert kept.stat().st_mtime_ns == before
    assert tuned_encoder(other).change.is_kept
    assert tuned_encoder(other).fingerprint == tuned_encoder(logistic).fingerprint
    HybridClassifier(encoder, "mlp", cache=cache, seed=1, **options).fit(texts, labels)
    assert len(list((tmp_path / "tuned").iterdir())) == 2


def test_an_encoder_is_copied_once_for_its_check_and_once_a_trial(
    encoder: Encoder, data: TextData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[str] = []
    copy_model = Encoder.copy_model

    def count(self: Encoder) -> torch.nn.Module:
        copies.append(self.name)
        return copy_model(self)

    monkeypatch.setattr(Encoder, "copy_model", count)
    data = TextData(data.dataset, DataOptions(), encoder, tunings=TuningStore(tmp_path))
    spec = ModelSpec("logistic", tuning=Tuning("lora", by=TuneBy.LINEAR, epochs=1))
    part, config, backend = data.dataset.train, TrainingConfig(epochs=1), load_backend("statevector")
    found = []
    for expected in (2, 1):
        copies.clear()
        data.build(spec, backend, 0)
        tuned = data.tune(spec, part, None, config).encoder
        assert isinstance(tuned, TunedEncoder)
        assert len(copies) == expected
        found.append(tuned)
    assert [each.change.is_kept for each in found] == [False, True]
    # Merged in place after training, or from what was kept: the same encoder to the last bit.
    texts = list(map(str, part.texts))
    assert found[0].fingerprint == found[1].fingerprint
    assert torch.equal(found[0].encode(texts), found[1].encode(texts))


def test_the_store_holds_so_many_bytes(encoder: Encoder, tmp_path: Path) -> None:
    change = tuned_change(encoder)
    one = TuningStore(tmp_path)
    one.write("a", change)
    size = one.folder.joinpath("a.safetensors").stat().st_size
    small = TuningStore(tmp_path, most_bytes=2 * size)
    for name in "bcd":
        small.write(name, change)
    assert len(list(small.folder.iterdir())) == 2
    assert small.read("d", change.tuning) is not None
    small.folder.joinpath("d.safetensors").write_bytes(b"no tensors")
    assert small.read("d", change.tuning) is None


def tuned_change(encoder: Encoder) -> EncoderChange:
    return EncoderChange.of(TunableEncoder(encoder, Tuning("lora"), 0))


@pytest.mark.parametrize("by", ["head", "linear"])
def test_it_resumes_bit_for_bit(by: str, encoder: Encoder, sentences: Sentences, tmp_path: Path) -> None:
    """From every epoch that a kill can leave behind, of the encoder and of the head."""

    class Killed(BaseException):
        pass

    def kill_after(count: int) -> Callable[[dict[str, Any]], None]:
        def stop(record: dict[str, Any]) -> None:
            nonlocal count
            count -= 1
            if count == 0:
                raise Killed

        return stop

    texts, labels = sentences(24)
    options: dict[str, Any] = {**TUNED, "tune": "quanta", "tune__by": by, "tune__epochs": 2, "cache": False}
    whole = HybridClassifier(encoder, **options).fit(texts, labels)
    for count in range(1, 3 if by == "head" else 5):
        folder = tmp_path / str(count)
        with pytest.raises(Killed):
            HybridClassifier(encoder, **options).fit(texts, labels, folder=folder, on_epoch=kill_after(count))
        resumed = HybridClassifier(encoder, **options).fit(texts, labels, folder=folder, resume=True)
        assert tuned_encoder(resumed).fingerprint == tuned_encoder(whole).fingerprint
        ours, theirs = whole.head_.state_dict(), resumed.head_.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_cannot_be_tuned(encoder: Encoder, pairs: TextData, sentences: Sentences) -> None:
    with pytest.raises(InputError, match="tuned by a head that is solved"):
        HybridClassifier(encoder, "logistic", tune="full", tune__by="head").fit(*sentences(12))
    with pytest.raises(InputError, match="'last' was given, and the encoder is not tuned"):
        HybridClassifier(encoder, tune__last=1)
    spec = ModelSpec("mlp", tuning=Tuning("full", by=TuneBy.SUPCON))
    with pytest.raises(InputError, match="'supcon' on pairs of texts"):
        pairs.build(spec, load_backend("statevector"), 0)
    with pytest.raises(InputError, match="'supcon' with batches in parts"):
        HybridClassifier(
            encoder, "mlp", tune="full", tune__by="supcon", cache=False, compute={"accumulation": 2}
        ).fit(*sentences(12))


def test_pairs_train_save_and_load(encoder: Encoder, pairs: TextData, tmp_path: Path) -> None:
    entries = [(first, second) for first, second in map(tuple, pairs.dataset.train.texts)]
    labels = pairs.dataset.train.labels
    model = HybridClassifier(encoder, **TUNED).fit(entries, labels)
    again = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path / "m"))
    assert (again.predict_proba(entries) == model.predict_proba(entries)).all()
    turned = [(second, first) for first, second in entries]
    assert (model.predict_proba(turned) != model.predict_proba(entries)).any()


def test_data_is_checked_before_the_encoder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        TextClassification().load(DataOptions(str(tmp_path / "absent.csv")), "no such encoder", "cpu")
