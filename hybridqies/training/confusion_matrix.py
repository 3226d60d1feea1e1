"""Which class was taken for which: counts, their recorded form, and what they say of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridqies.errors import InputError

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
Recorded = Sequence[Sequence[int]] | Mapping[str, Sequence[Sequence[int]]]

_WHOLE_UP_TO = 50


def confusion(probabilities: FloatArray, labels: IntArray) -> IntArray:
    """Counts (K, K): row the true class, column the predicted one."""
    k = probabilities.shape[1]
    cells = labels * k + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def record_confusion(counts: IntArray) -> Recorded:
    """Counts (K, K) as JSON values: rows, and with more than 50 classes only the cells that are not 0.

    Such cells are `{"cells": [[true, predicted, count], …]}`, so a record has no more of them than texts.
    """
    if len(counts) <= _WHOLE_UP_TO:
        rows: list[list[int]] = counts.tolist()
        return rows
    true, predicted = np.nonzero(counts)
    return {"cells": np.stack((true, predicted, counts[true, predicted]), axis=1).tolist()}


def read_confusion(recorded: Recorded, n_classes: int) -> IntArray:
    """Counts (K, K) from what `record_confusion` gave.

    Raises
    ------
    InputError: it is no such record of that many classes.
    """
    try:
        if isinstance(recorded, Mapping):
            cells = np.array(recorded["cells"], dtype=np.int64).reshape(-1, 3)
            counts = np.zeros((n_classes, n_classes), dtype=np.int64)
            if len(cells) and cells[:, :2].min() < 0:
                raise ValueError("a class below 0")
            counts[cells[:, 0], cells[:, 1]] = cells[:, 2]
        else:
            counts = np.array(recorded, dtype=np.int64).reshape(n_classes, n_classes)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the recorded confusion of {n_classes} classes is damaged ({error})") from None
    return counts


def measure_classes(counts: IntArray, classes: Sequence[str | int]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class as JSON values, with its number of texts.

    A class that was never predicted has no precision, one without texts no recall: they are None, and
    its F1 is 0, as in the macro-F1.
    """
    right, true, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    return [
        {
            "class": label,
            "precision": float(hit / said) if said else None,
            "recall": float(hit / there) if there else None,
            "f1": float(2 * hit / (said + there)) if said + there else 0.0,
            "n": int(there),
        }
        for label, hit, there, said in zip(classes, right, true, predicted, strict=True)
    ]
