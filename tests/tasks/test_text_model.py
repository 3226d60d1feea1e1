"""A head on an encoder whose last layers are trained with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies import HybridClassifier
from hybridqies.backends import load_backend
from hybridqies.errors import DataError, InputError
from hybridqies.heads import Head
from hybridqies.roles import Role, roles_of
from hybridqies.tasks import DataOptions, ModelSpec
from hybridqies.tasks.text_classification import TextClassification, TextData, with_encoder
from hybridqies.tasks.text_model import TextModel
from hybridqies.text import Dataset, EmbeddingCache, Encoder, Examples
from hybridqies.training import TrainingConfig

Sentences = Callable[[int], tuple[list[str], list[str]]]
TUNED: dict[str, Any] = {"head": "dressed", "n_qubits": 2, "trainable_layers": 1, "epochs": 2}

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


SPEC = ModelSpec("dressed", n_qubits=2, trainable_layers=1)


def test_tokens_give_the_embeddings_of_the_encoder(data: TextData, encoder: Encoder) -> None:
    module = encoder.trainable_module(1).eval()
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


def test_frozen_layers_keep_their_weights(encoder: Encoder) -> None:
    module = encoder.trainable_module(1)
    trained = [name for name, each in module.named_parameters() if each.requires_grad]
    assert trained
    assert all(".layer.0." in name for name in trained)


def test_what_cannot_be_trained(encoder: Encoder, sentences: Sentences) -> None:
    with pytest.raises(InputError, match="has 1 transformer layers, and 7 were to be trained"):
        encoder.trainable_module(7)
    with pytest.raises(InputError, match="head 'logistic', which is solved"):
        HybridClassifier(encoder, "logistic", trainable_layers=1).fit(*sentences(12))


def test_it_trains_saves_and_loads(encoder: Encoder, sentences: Sentences, tmp_path: Path) -> None:
    texts, labels = sentences(24)
    cache = EmbeddingCache(tmp_path / "cache")
    model = HybridClassifier(encoder, cache=cache, **TUNED).fit(texts, labels, validation=0.25)
    assert not (tmp_path / "cache").exists()
    before, after = encoder.trainable_module(1).state_dict(), model.model_.module.encoder.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".layer.0." in name for name in changed)
    again = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path / "m"), cache=cache)
    assert (again.predict_proba(texts) == model.predict_proba(texts)).all()
    frozen = HybridClassifier(encoder, cache=False, **TUNED | {"trainable_layers": 0}).fit(texts, labels)
    assert (frozen.predict_proba(texts) != model.predict_proba(texts)).any()


def test_it_resumes_bit_for_bit(encoder: Encoder, sentences: Sentences, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def stop(record: dict[str, Any]) -> None:
        raise Killed

    texts, labels = sentences(24)
    whole = HybridClassifier(encoder, **TUNED).fit(texts, labels)
    with pytest.raises(Killed):
        HybridClassifier(encoder, **TUNED).fit(texts, labels, folder=tmp_path, on_epoch=stop)
    resumed = HybridClassifier(encoder, **TUNED).fit(texts, labels, folder=tmp_path, resume=True)
    ours, theirs = whole.model_.module.state_dict(), resumed.model_.module.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_pairs_train_save_and_load(encoder: Encoder, pairs: TextData, tmp_path: Path) -> None:
    entries = [(first, second) for first, second in map(tuple, pairs.dataset.train.texts)]
    labels = pairs.dataset.train.labels
    model = HybridClassifier(encoder, **TUNED).fit(entries, labels)
    again = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path / "m"))
    assert (again.predict_proba(entries) == model.predict_proba(entries)).all()
    turned = [(second, first) for first, second in entries]
    assert (model.predict_proba(turned) != model.predict_proba(entries)).any()


def test_a_solved_head_is_known_by_its_row(data: TextData, encoder: Encoder) -> None:
    """A head may have a method `solve` that is something else."""
    head = data.build(ModelSpec("dressed", n_qubits=2), load_backend("statevector"), 0)
    assert isinstance(head, Head)
    head.solve = lambda: None  # type: ignore[assignment]
    assert isinstance(with_encoder(head, SPEC, encoder), TextModel)


def test_data_is_checked_before_the_encoder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        TextClassification().load(DataOptions(str(tmp_path / "absent.csv")), "no such encoder", "cpu")
