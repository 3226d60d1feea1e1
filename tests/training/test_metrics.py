"""Metrics against scikit-learn and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from hybridqies.errors import InputError
from hybridqies.training import calibration_error, confusion, measure, reliability


def draws(n_classes: int, rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(n_classes)
    return draw.dirichlet(np.ones(n_classes), rows).astype(np.float32), draw.integers(0, n_classes, rows)


@pytest.mark.parametrize("n_classes", [2, 6])
def test_against_scikit_learn(n_classes: int) -> None:
    probabilities, labels = draws(n_classes)
    predicted = probabilities.argmax(axis=1)
    measured = measure(probabilities, labels)
    assert measured.n == 200
    assert measured.accuracy == reference.accuracy_score(labels, predicted)
    assert measured.macro_f1 == reference.f1_score(labels, predicted, average="macro")
    assert measured.log_loss == pytest.approx(-np.log(probabilities[range(200), labels]).mean(), rel=1e-5)
    assert (confusion(probabilities, labels) == reference.confusion_matrix(labels, predicted)).all()


def test_a_class_that_is_missing_still_counts() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    measured = measure(probabilities, np.array([0, 1]))
    assert measured.accuracy == 1.0
    assert measured.macro_f1 == pytest.approx(2 / 3)
    assert confusion(probabilities, np.array([0, 1])).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    measured = measure(np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32), np.array([0, 1]))
    assert 10 < measured.log_loss < 30


def test_calibration_error_by_hand() -> None:
    # Confidences 0.61, 0.62 (one right of two) share a bin; 0.95 (right) has its own:
    # |1.23 - 1| / 3 + |0.95 - 1| / 3.
    probabilities = np.array([[0.61, 0.39], [0.38, 0.62], [0.95, 0.05]])
    error = calibration_error(probabilities, np.array([0, 0, 0]))
    assert error == pytest.approx((0.23 + 0.05) / 3)


def test_reliability_by_hand() -> None:
    probabilities = np.array([[0.61, 0.39], [0.38, 0.62], [0.95, 0.05], [0.0, 1.0]])
    first, second = reliability(probabilities, np.array([0, 0, 0, 1]))
    assert first == pytest.approx({"n": 2, "confidence": 0.615, "accuracy": 0.5})
    assert second == pytest.approx({"n": 2, "confidence": 0.975, "accuracy": 1.0})
    gaps = sum(each["n"] * abs(each["confidence"] - each["accuracy"]) for each in (first, second)) / 4
    assert calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(gaps)


def test_calibration_error_at_the_ends() -> None:
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration_error(sure, np.array([0, 1])) == 0.0
    assert calibration_error(sure, np.array([1, 0])) == 1.0
    assert calibration_error(np.full((4, 4), 0.25), np.arange(4)) == 0.0


def test_nothing_to_measure() -> None:
    with pytest.raises(InputError, match="metrics of 0 samples"):
        measure(np.zeros((0, 2)), np.zeros(0, dtype=int))


def test_names_behind_a_prefix() -> None:
    record = measure(*draws(2)).to_mapping("validation_")
    assert set(record) == {
        f"validation_{name}" for name in ("accuracy", "macro_f1", "log_loss", "calibration_error", "n")
    }
