"""The classifier as scikit-learn's tools use it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from hybridqies import HybridClassifier, progress, verbosity
from hybridqies.errors import DataError, UnknownNameError
from hybridqies.text import Encoder
from hybridqies.training import TrainingWarning

Sentences = Callable[[int], tuple[list[str], list[str]]]
QUICK: dict[str, Any] = {"epochs": 3, "learning_rate": 0.05}

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    pytest.mark.filterwarnings("ignore::hybridqies.training.TrainingWarning"),
]


class TestParameters:
    def test_all_of_them(self, encoder: Encoder) -> None:
        model = HybridClassifier(encoder, n_qubits=3, epochs=4, encoder__layers=2)
        params = model.get_params()
        assert (params["n_qubits"], params["epochs"], params["encoder__layers"]) == (3, 4, 2)
        assert params["head"] == "two-module"

    def test_they_can_be_changed(self, encoder: Encoder) -> None:
        model = HybridClassifier(encoder, "dressed", n_qubits=3).set_params(epochs=9, n_qubits=np.int64(2))
        assert (model.get_params()["epochs"], model.n_qubits) == (9, 2)

    def test_an_unknown_one_changes_nothing(self, encoder: Encoder) -> None:
        model = HybridClassifier(encoder, "dressed", n_qubits=3, epochs=4)
        before = model.get_params()
        with pytest.raises(UnknownNameError) as caught:
            model.set_params(epoch=9, n_qubits=2)
        assert caught.value.nearest == "epochs"
        assert model.get_params() == before

    def test_verbose_writes_lines(
        self,
        encoder: Encoder,
        sentences: Sentences,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(progress, "_PAUSES", (-1.0, 0.0))
        monkeypatch.setattr(verbosity.LOGGER, "propagate", False)
        epochs: list[int] = []
        model = clone(HybridClassifier(encoder, "mlp", verbose=True, **QUICK))
        model.fit(*sentences(20), on_epoch=lambda record: epochs.append(record["epoch"]))
        told = capsys.readouterr().err
        assert re.search(r"^embedding: 20 of 20, \d+ s$", told, re.MULTILINE)
        assert re.search(r"^training mlp: 3 of 3, loss \d\.\d{3}", told, re.MULTILINE)
        assert epochs == [1, 2, 3]
        model.set_params(verbose=False).fit(*sentences(20))
        assert capsys.readouterr().err == ""

    def test_a_clone_is_not_fitted(self, encoder: Encoder, sentences: Sentences) -> None:
        model = HybridClassifier(encoder, "logistic").fit(*sentences(20))
        copy = clone(model)
        assert copy.get_params() == model.get_params()
        assert not hasattr(copy, "model_")

    def test_nested_options_of_training(self, encoder: Encoder, sentences: Sentences) -> None:
        model = HybridClassifier(encoder, "dressed", n_qubits=2, rates__readout=0.5, **QUICK)
        model.fit(*sentences(20))
        assert model.model_.training.rates.readout == 0.5

    def test_a_short_name(self) -> None:
        assert repr(HybridClassifier(n_qubits=4, epochs=2)) == "HybridClassifier(epochs=2, n_qubits=4)"


class TestTools:
    def test_grid_search(self, encoder: Encoder, sentences: Sentences) -> None:
        texts, labels = sentences(60)
        grid = {"n_qubits": [2, 3], "learning_rate": [0.01, 0.05]}
        model = HybridClassifier(encoder, "dressed", epochs=2)
        search = GridSearchCV(model, grid, cv=2).fit(texts, labels)
        assert len(search.cv_results_["mean_test_score"]) == 4
        assert search.best_estimator_.n_qubits == search.best_params_["n_qubits"]
        assert search.predict(texts[:3]).shape == (3,)

    def test_cross_validation_and_pipelines(self, encoder: Encoder, sentences: Sentences) -> None:
        texts, labels = sentences(60)
        lower = FunctionTransformer(lambda rows: [row.lower() for row in rows])
        pipeline = Pipeline([("lower", lower), ("classify", HybridClassifier(encoder, "logistic"))])
        scores = cross_val_score(pipeline, np.array(texts), np.array(labels), cv=3)
        assert scores.shape == (3,)
        assert scores.mean() > 0.7

    def test_pandas(self, encoder: Encoder, sentences: Sentences) -> None:
        pandas = pytest.importorskip("pandas")
        texts, labels = sentences(40)
        table = pandas.DataFrame({"text": texts, "label": labels}, index=range(100, 140))
        model = HybridClassifier(encoder, "logistic").fit(table["text"], table["label"])
        assert (model.predict(table["text"]) == model.predict(texts)).all()
        assert model.score(table["text"], table["label"]) == model.score(texts, labels)
        with pytest.raises(DataError, match=r"a table .* was given in the place of texts.* 'text', 'label'"):
            model.predict(table)

    @pytest.mark.parametrize(
        "given", [{"text": ["a"]}, "a film", b"a film", {"a", "b"}, np.array([["a"]]), 3]
    )
    def test_what_is_no_list_of_texts(self, given: Any, encoder: Encoder, sentences: Sentences) -> None:
        model = HybridClassifier(encoder, "logistic").fit(*sentences(20))
        with pytest.raises(DataError, match="expected"):
            model.predict(given)

    @pytest.mark.parametrize("make", [list, np.array, torch.tensor], ids=["list", "numpy", "torch"])
    def test_kinds_of_labels(
        self, make: Callable[[list[int]], Any], encoder: Encoder, sentences: Sentences
    ) -> None:
        texts, words = sentences(20)
        numbers = [int(word == "good") for word in words]
        model = HybridClassifier(encoder, "logistic").fit(texts, make(numbers))
        assert model.score(texts, make(numbers)) == model.score(texts, numbers) > 0.5


class TestWarnings:
    def test_one_class(self, encoder: Encoder, sentences: Sentences) -> None:
        texts, labels = sentences(40)
        model = HybridClassifier(encoder, "dressed", n_qubits=2, epochs=5, learning_rate=1e-6)
        with pytest.warns(TrainingWarning) as caught:
            model.fit(texts, ["bad"] * 38 + labels[38:])
        assert any("predicts one class" in str(each.message) for each in caught)

    def test_none_for_a_solver(self, encoder: Encoder, sentences: Sentences) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", TrainingWarning)
            HybridClassifier(encoder, "logistic").fit(*sentences(40), validation=0.2)
