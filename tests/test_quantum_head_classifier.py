"""QuantumHeadClassifier is a scikit-learn estimator: it passes its checks, and answers as its head does."""

from __future__ import annotations

import json
import pickle
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from hybridqies import QuantumHeadClassifier, load_circuit, progress, verbosity
from hybridqies.errors import CapabilityError, InputError, ModelFolderError, UnknownNameError
from hybridqies.heads import HEADS, build_head, head_options, matching
from hybridqies.heads.base import HeadContext
from hybridqies.quantum_head_classifier import WEIGHTS
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit

D = 3
KERNEL = QuantumHeadClassifier("quantum-kernel", n_qubits=2, settings={"C": 10.0})
SMALL: dict[str, Any] = {"epochs": 3, "random_state": 0}


def blobs(n_classes: int = 2, rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    x, y = make_blobs(rows, D, centers=n_classes, cluster_std=0.5, random_state=1)
    return x / 10, np.array(["no", "yes", "perhaps"])[y]


@pytest.fixture(autouse=True)
def _short_trainings_may_warn(recwarn: pytest.WarningsRecorder) -> None:
    """Trainings of a few epochs have not converged, as they say."""


class TestScikitLearn:
    @parametrize_with_checks([KERNEL])
    def test_a_solved_head(self, estimator: Any, check: Any) -> None:
        check(estimator)

    @pytest.mark.slow
    @parametrize_with_checks(
        [
            QuantumHeadClassifier("logistic"),
            QuantumHeadClassifier(
                "dressed", n_qubits=2, epochs=20, learning_rate=0.05, training={"rates": {"readout": 0.1}}
            ),
        ]
    )
    def test_other_heads(self, estimator: Any, check: Any) -> None:
        check(estimator)

    def test_settings_are_parameters(self) -> None:
        model = QuantumHeadClassifier(n_qubits=2, settings={"encoders": 2, "encoder.layers": 1})
        assert model.get_params()["settings__encoder__layers"] == 1
        assert "settings__encoders" not in model.get_params(deep=False)
        model.set_params(settings__encoder__layers=3, n_qubits=4)
        assert model.settings == {"encoders": 2, "encoder__layers": 3}
        assert clone(model).get_params() == model.get_params()

    def test_options_of_training_are_parameters(self) -> None:
        model = QuantumHeadClassifier("mlp", training={"patience": 5, "rates.readout": 0.1})
        assert model.get_params()["training__rates__readout"] == 0.1
        model.set_params(training__rates__readout=0.2, training__clip_norm=1.0, epochs=2)
        assert model.training == {"patience": 5, "rates__readout": 0.2, "clip_norm": 1.0}
        assert model.settings is None
        spelled = QuantumHeadClassifier("mlp", training={"rates": {"readout": 0.2}})
        assert model._config(0).rates == spelled._config(0).rates

    def test_pipeline_search_and_cross_validation(self) -> None:
        x, y = blobs(3)
        pipeline = make_pipeline(StandardScaler(), clone(KERNEL))
        assert cross_val_score(pipeline, x, y, cv=2).min() > 0.9
        grid = {
            "quantumheadclassifier__settings__bandwidth": [1e-6, 0.3],
            "quantumheadclassifier__n_qubits": [2, 3],
        }
        search = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
        assert search.best_params_["quantumheadclassifier__settings__bandwidth"] == 0.3
        assert set(search.predict(x)) == {"no", "yes", "perhaps"}

    def test_the_example_of_the_guide(self) -> None:
        example = Path(__file__).parents[1] / "docs" / "examples" / "features.py"
        names = runpy.run_path(str(example))
        assert names["accuracy"] > 0.9


class TestFit:
    @pytest.mark.parametrize("head", HEADS)
    def test_every_head(self, head: str) -> None:
        settings: dict[str, Any] = {"reupload": {"columns_per_qubit": 3}}.get(head, {})
        quantum = head in ("two-module", "dressed", "quantum-kernel")
        x, y = blobs(3)
        model = QuantumHeadClassifier(
            head, n_qubits=2 if quantum else None, settings=settings | matching(head, 40), **SMALL
        ).fit(x, y)
        probabilities = model.predict_proba(x)
        assert probabilities.shape == (40, 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert (model.predict(x) == model.classes_[probabilities.argmax(axis=1)]).all()
        again = clone(model).fit(x, y)
        assert (again.predict_proba(x) == probabilities).all()

    def test_it_is_the_head_trained_as_runs_train_it(self) -> None:
        x, y = blobs()
        settings = {"layers": 1, "spread": 1.0}
        model = QuantumHeadClassifier("dressed", n_qubits=2, settings=settings, learning_rate=0.01, **SMALL)
        generator = torch.Generator().manual_seed(0)
        options = head_options("dressed", settings, n_qubits=2)
        head = build_head("dressed", options, HeadContext(D, 2, generator=generator)).double()
        config = TrainingConfig(epochs=3, learning_rate=0.01, seed=0)
        rows = Labelled(torch.tensor(x), torch.tensor((y == "yes").astype(int)))
        fit(head, rows, None, CrossEntropy.of(config, rows, 2), config)
        with torch.no_grad():
            expected = torch.softmax(head(rows.inputs), dim=1).numpy()
        np.testing.assert_allclose(model.fit(x, y).predict_proba(x), expected, atol=1e-12)

    def test_the_best_epoch_on_held_out_rows_is_kept(self) -> None:
        x, y = blobs()
        model = QuantumHeadClassifier("mlp", validation_fraction=0.25, training={"patience": 1}, **SMALL)
        history = model.fit(x, y).outcome_.history
        losses = [record["validation_log_loss"] for record in history]
        assert model.outcome_.best_epoch == 1 + int(np.argmin(losses))

    def test_an_own_circuit(self) -> None:
        x, y = blobs()
        circuit = load_circuit("iqp", 2)
        model = QuantumHeadClassifier("dressed", circuit, **SMALL).fit(x, y)
        assert model.head_.circuits()["circuit"] is circuit
        with pytest.raises(InputError, match="n_qubits=3 was given with a circuit of 2 qubits"):
            QuantumHeadClassifier("dressed", circuit, 3).fit(x, y)

    def test_without_a_random_state_every_fit_is_another(self) -> None:
        x, y = blobs()
        model = QuantumHeadClassifier("mlp", epochs=1)
        assert (model.fit(x, y).predict_proba(x) != clone(model).fit(x, y).predict_proba(x)).any()


class TestProgress:
    def test_verbose_writes_lines(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(progress, "_PAUSES", (-1.0, 0.0))
        monkeypatch.setattr(verbosity.LOGGER, "propagate", False)
        model = QuantumHeadClassifier("mlp", verbose=True, **SMALL).fit(*blobs())
        assert re.search(r"training mlp: 3 of 3, loss \d\.\d{3}", capsys.readouterr().err)
        model.set_params(verbose=False).fit(*blobs())
        assert capsys.readouterr().err == ""


class TestWarnings:
    def test_too_few_epochs_and_one_class(self) -> None:
        x, y = blobs()
        y[:-4] = "no"
        model = QuantumHeadClassifier("mlp", epochs=2, learning_rate=1e-6, random_state=0)
        with pytest.warns(ConvergenceWarning) as caught:
            model.fit(x, y)
        said = [str(each.message) for each in caught]
        assert any("not converged: 2 epochs are too few to tell" in each for each in said)
        assert any("all 40 rows measured are predicted as" in each for each in said)
        assert {each.filename for each in caught} == {__file__}

    def test_a_good_training_says_nothing(self, recwarn: pytest.WarningsRecorder) -> None:
        clone(KERNEL).fit(*blobs())
        assert not recwarn.list


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "kind", "message"),
        [
            ({"head": "two_module"}, UnknownNameError, "did you mean 'two-module'"),
            ({"settings": {"merg": "sum"}}, UnknownNameError, "did you mean 'merge'"),
            ({"settings": 3}, InputError, "settings=3 was given; expected a mapping"),
            ({"training": 3}, InputError, "training=3 was given; expected a mapping"),
            ({"training": {"epochs": 3}}, InputError, "give it as the parameter epochs"),
            ({"training": {"seed": 3}}, InputError, "give it as the parameter random_state"),
            ({"training": {"patienc": 3}}, UnknownNameError, "did you mean 'patience'"),
            ({"epochs": 0}, InputError, "'epochs' was given 0"),
            ({"validation_fraction": 1.0}, InputError, "validation_fraction=1.0 was given"),
            ({"head": "svc", "n_qubits": 3}, InputError, "has no circuit"),
            ({"backend": "statevectr"}, UnknownNameError, "did you mean 'statevector'"),
            (
                {"head": "quantum-kernel", "backend": "statevector,shots=10"},
                CapabilityError,
                "use kernel=projected",
            ),
        ],
    )
    def test_bad_parameters(self, params: dict[str, Any], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            QuantumHeadClassifier(**params).fit(*blobs())

    def test_an_unknown_option_of_training(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'patience'"):
            QuantumHeadClassifier("mlp").set_params(training__patienc=3).fit(*blobs())

    def test_one_class(self) -> None:
        with pytest.raises(InputError, match="labels of one class were given, 'a'"):
            clone(KERNEL).fit(blobs()[0], ["a"] * 40)

    def test_before_fitting(self, tmp_path: Path) -> None:
        for call in (lambda: KERNEL.predict(blobs()[0]), lambda: KERNEL.save_pretrained(tmp_path)):
            with pytest.raises(NotFittedError):
                call()


class TestSaving:
    @pytest.mark.parametrize("head", ["dressed", "quantum-kernel", "logistic"])
    def test_round_trip(self, head: str, tmp_path: Path) -> None:
        x, y = blobs(3)
        qubits = None if head == "logistic" else 2
        model = QuantumHeadClassifier(head, n_qubits=qubits, settings={}, **SMALL).fit(x, y)
        loaded = QuantumHeadClassifier.from_pretrained(model.save_pretrained(tmp_path / "model"))
        assert (loaded.predict_proba(x) == model.predict_proba(x)).all()
        assert (loaded.predict(x) == model.predict(x)).all()
        assert loaded.get_params() == model.get_params()
        assert loaded.outcome_.history == model.outcome_.history

    def test_own_circuits_and_labels_are_kept(self, tmp_path: Path) -> None:
        x, _ = blobs()
        y = np.arange(40) % 2 + 5
        model = QuantumHeadClassifier("dressed", load_circuit("iqp", 2), **SMALL).fit(x, y)
        loaded = QuantumHeadClassifier.from_pretrained(model.save_pretrained(tmp_path), backend="pennylane")
        assert loaded.head_.circuits() == model.head_.circuits()
        np.testing.assert_allclose(loaded.predict_proba(x), model.predict_proba(x), atol=1e-10)
        assert loaded.predict(x).dtype == y.dtype

    def test_pickle(self) -> None:
        x, y = blobs()
        model = clone(KERNEL).fit(x, y)
        assert (pickle.loads(pickle.dumps(model)).predict_proba(x) == model.predict_proba(x)).all()

    def test_damaged_files_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFolderError, match="does not exist"):
            QuantumHeadClassifier.from_pretrained(tmp_path)
        clone(KERNEL).fit(*blobs()).save_pretrained(tmp_path)
        path = tmp_path / WEIGHTS
        content = path.read_bytes()
        for damaged in (content[:-1], content[:40], bytes([content[0] ^ 1]) + content[1:]):
            path.write_bytes(damaged)
            with pytest.raises(ModelFolderError, match="is truncated or damaged"):
                QuantumHeadClassifier.from_pretrained(tmp_path)

    def test_nothing_but_tensors_and_json(self, tmp_path: Path) -> None:
        model = clone(KERNEL).set_params(random_state=np.random.RandomState(0)).fit(*blobs())
        path = model.save_pretrained(tmp_path) / WEIGHTS
        size = int.from_bytes(path.read_bytes()[:8], "little")
        json.loads(path.read_bytes()[8 : 8 + size])
        assert QuantumHeadClassifier.from_pretrained(tmp_path).random_state is None
