"""The sealed test set: measured once, seen by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.training import Labelled, Metrics, measure

Predict = Callable[[Tensor], np.ndarray]


class SealError(InputError):
    """A test set was to be read a second time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the one look at a test set gives: metrics, predicted classes (N,) and true ones (N,)."""

    metrics: Metrics
    predictions: tuple[int, ...]
    truth: tuple[int, ...]


class SealedTest:
    """The test part of one seed, for one arm. Its rows and labels leave it through `measure` alone.

    Whoever chooses among options holds this object and can get nothing out of it without ending the trial.
    """

    def __init__(self, test: Labelled) -> None:
        self.__test: Labelled | None = test

    def measure(self, predict: Predict) -> Reading:
        """Breaks the seal: `predict` takes embeddings (N, D) to class probabilities (N, K).

        Raises
        ------
        SealError: it was broken before.
        """
        test, self.__test = self.__test, None
        if test is None:
            raise SealError(
                "the test set of this trial was asked for a second time",
                expected="one reading per seed and arm",
                todo="choose on validation",
            )
        probabilities, labels = predict(test.inputs), test.labels.cpu().numpy()
        return Reading(
            measure(probabilities, labels),
            tuple(probabilities.argmax(axis=1).tolist()),
            tuple(labels.tolist()),
        )
