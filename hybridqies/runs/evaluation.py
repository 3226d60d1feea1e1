"""A saved model measured on data, on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from hybridqies.backends import Backend
from hybridqies.backends.jobs import Limits
from hybridqies.classifier import HybridClassifier, Label, is_quantum, read_config
from hybridqies.errors import ModelFolderError, UnknownNameError
from hybridqies.options import from_mapping
from hybridqies.runs.config import DataOptions, RunConfig
from hybridqies.runs.execution import RESULT, Hooks, load_splits, read_result
from hybridqies.runs.measure import measured
from hybridqies.text import Dataset, Examples, load_dataset
from hybridqies.training import predict_probabilities, prediction_batch

_SPLITS = ("train", "validation", "test")


def evaluate_run(
    folder: Path,
    options: DataOptions | None,
    split_name: str,
    *,
    backend: str | Backend | None = None,
    device: str = "cpu",
    limits: Limits | None = None,
    journal: Path | None = None,
    hooks: Hooks | None = None,
) -> dict[str, Any]:
    """Measures a saved model on one split of some data; without `options` on the run's own.

    `limits` and `journal` are those of `HybridClassifier.cap`.

    Raises
    ------
    DataError: the data has no such split, or a label that training never saw.
    InputError: a cap or a journal where nothing is paid.
    """
    model = HybridClassifier.load(folder, backend=backend, device=device)
    model.cap(limits, journal=journal, on_progress=hooks.on_text if hooks else None)
    data, part = evaluation_part(folder, options, split_name)
    rows = _embedded(model, part.texts, hooks or Hooks())
    labels = _like(part.labels, model.classes_)
    return {
        "head": model.head,
        "backend": model.backend.spec if is_quantum(model.head) else None,
        "data": data.name,
        "split": split_name,
        **measured(model, model.labelled(rows, labels, model.classes_)),
        "classes": list[Label](model.classes_),
    }


def predict_run(
    folder: Path,
    texts: Sequence[str],
    *,
    backend: str | Backend | None = None,
    device: str = "cpu",
    limits: Limits | None = None,
    journal: Path | None = None,
    hooks: Hooks | None = None,
) -> tuple[tuple[Label, ...], np.ndarray]:
    """The classes that a saved model knows, and the probabilities (B, K) that it gives them for each text.

    Raises
    ------
    DataError: no texts, or an empty one.
    InputError: a cap or a journal where nothing is paid.
    """
    model = HybridClassifier.load(folder, backend=backend, device=device)
    model.cap(limits, journal=journal, on_progress=hooks.on_text if hooks else None)
    rows = _embedded(model, texts, hooks or Hooks())
    assert model.head_ is not None
    batch = prediction_batch(model.head_, len(rows), model.training.batch_size)
    return model.classes_, predict_probabilities(model.head_, rows, batch)


def _embedded(model: HybridClassifier, texts: Sequence[str], hooks: Hooks) -> Tensor:
    """Embeddings (B, D); the stage that begins then is the circuit's, where running it takes long."""
    hooks.on_stage("embedding", len(texts))
    rows = model.embed(texts, hooks.on_text)
    if is_quantum(model.head) and not model.backend.is_exact:
        hooks.on_stage(f"running on {model.backend.label}", len(texts))
    return rows


def evaluation_part(folder: Path, options: DataOptions | None, split_name: str) -> tuple[Dataset, Examples]:
    """The data that an evaluation is about, and the texts of its split."""
    data = _evaluation_data(folder, options)
    named = data.splits()
    if options is not None and list(named) == ["train"] and split_name in _SPLITS:
        # Texts without splits are what their user calls them.
        named = {split_name: data.train}
    if split_name not in named:
        raise UnknownNameError("split", split_name, named)
    return data, named[split_name]


def _like(labels: Sequence[Label], classes: Sequence[Label]) -> tuple[Label, ...]:
    """The labels as strings when the model's are: a part may read as integers where the whole did not."""
    return tuple(str(label) for label in labels) if isinstance(classes[0], str) else tuple(labels)


def _evaluation_data(folder: Path, options: DataOptions | None) -> Dataset:
    run = read_config(folder)["run"]
    own = None if run is None else from_mapping(RunConfig, run, what="run option")
    if own is not None and (options is None or _same_source(options, own.data)):
        data = load_splits(own.data, own.training.seed)
        if (folder / RESULT).is_file() and read_result(folder)["data_fingerprint"] != data.fingerprint:
            raise ModelFolderError(
                f"the data in {own.data.source!r} is not what {str(folder)!r} was trained with",
                todo="give other data as a copy with --data, or train anew",
            )
        return data
    if options is None:
        raise ModelFolderError(f"{str(folder)!r} holds a model but no run", expected="--data to measure on")
    return load_dataset(options.source, options.text_column, options.label_column)


def _same_source(given: DataOptions, own: DataOptions) -> bool:
    same = Path(given.source).resolve() == Path(own.source).resolve() or given.source == own.source
    return same and (given.text_column, given.label_column) == (own.text_column, own.label_column)
