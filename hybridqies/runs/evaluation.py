"""A saved model measured on data, or asked for predictions, on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridqies.backends import Backend
from hybridqies.backends.jobs import Limits
from hybridqies.errors import InputError, ModelFolderError, UnknownNameError
from hybridqies.options import from_mapping
from hybridqies.runs.assembly import load_data
from hybridqies.runs.config import DataOptions, RunConfig
from hybridqies.runs.folder import RESULT, read_result
from hybridqies.runs.hooks import Hooks
from hybridqies.runs.measure import measure_model
from hybridqies.runs.paying import bound_payment
from hybridqies.saved_model import SavedModel, load_model, read_config
from hybridqies.tasks import load_task, runs_circuit
from hybridqies.tasks.text_classification import TextClassification, TextData, read_dataset
from hybridqies.text import Dataset, EmbeddingCache, Entry, Examples
from hybridqies.training import Labelled, watch_kernels

_SPLITS = ("train", "validation", "test")
_COLUMNS = ("text_column", "label_column", "pair_column")


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
    cached: bool = True,
) -> dict[str, Any]:
    """Measures a saved model on one split of some data; without `options` on the run's own.

    `overlap` in the record counts texts that the model was trained on; it is None where that is not known.
    `limits` and `journal` are those of `bound_payment`.

    Raises
    ------
    DataError: a label that training never saw, or single texts for a model of pairs, or the reverse.
    UnknownNameError: the data has no such split.
    InputError: a cap or a journal where nothing is paid.
    """
    hooks = hooks or Hooks()
    data, part = evaluation_part(folder, options, split_name)
    model = _load(folder, backend, device, limits, journal, hooks, cached)
    labels = model.indices_of(_like(part.labels, model.classes))
    inputs = _read(model, part.texts, hooks)
    rows = Labelled(inputs, torch.tensor(labels, dtype=torch.int64, device=model.device))
    with watch_kernels([model.head], hooks.on_compile):
        measured = measure_model(model.head, rows, model.classes, model.training.batch_size)
    return {
        "head": model.spec.head,
        "backend": model.backend.spec if runs_circuit(model.spec.head) else None,
        "data": data.name,
        "split": split_name,
        "pairs": part.are_pairs,
        **measured,
        "classes": list(model.classes),
        "overlap": None if split_name == "train" else model.count_trained_on(part.texts),
    }


def predict_run(
    folder: Path,
    texts: Sequence[Entry],
    *,
    backend: str | Backend | None = None,
    device: str = "cpu",
    limits: Limits | None = None,
    journal: Path | None = None,
    hooks: Hooks | None = None,
    cached: bool = True,
) -> tuple[tuple[Any, ...], np.ndarray]:
    """The classes that a saved model knows, and the probabilities (B, K) that it gives them for each text.

    Raises
    ------
    DataError: an empty text, or single texts for a model of pairs, or the reverse.
    InputError: a cap or a journal where nothing is paid.
    """
    hooks = hooks or Hooks()
    model = _load(folder, backend, device, limits, journal, hooks, cached)
    inputs = _read(model, texts, hooks)
    with watch_kernels([model.head], hooks.on_compile):
        return model.classes, model.predict(inputs)


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


def recorded_columns(folder: Path) -> dict[str, Any]:
    """The names of the columns that a run read, by the field of `DataOptions`.

    For a model that was trained without a run they are the defaults.
    """
    run = read_config(folder)["run"]
    data = DataOptions() if run is None else from_mapping(RunConfig, run, what="run option").data
    return {name: getattr(data, name) for name in _COLUMNS}


def _load(
    folder: Path,
    backend: str | Backend | None,
    device: str,
    limits: Limits | None,
    journal: Path | None,
    hooks: Hooks,
    cached: bool,
) -> SavedModel:
    model = load_model(folder, backend=backend, device=device, cache=EmbeddingCache() if cached else None)
    bound_payment(model.backend, (model.spec.head,), limits, journal=journal, on_progress=hooks.on_text)
    return model


def _read(model: SavedModel, texts: Sequence[Entry], hooks: Hooks) -> Any:
    """What the model reads of the texts; announces embedding, and then the circuit where it is slow."""
    hooks.on_stage("embedding", len(texts))
    inputs = model.read(texts, hooks.on_text)
    if runs_circuit(model.spec.head) and not model.backend.is_exact:
        hooks.on_stage(f"running on {model.backend.label}", len(texts))
    return inputs


def _like(labels: Sequence[Any], classes: Sequence[Any]) -> tuple[Any, ...]:
    """The labels as strings when the model's are: a part may read as integers where the whole did not."""
    return tuple(str(label) for label in labels) if isinstance(classes[0], str) else tuple(labels)


def _evaluation_data(folder: Path, options: DataOptions | None) -> Dataset:
    run = read_config(folder)["run"]
    own = None if run is None else from_mapping(RunConfig, run, what="run option")
    if own is not None and not isinstance(load_task(own.task), TextClassification):
        raise InputError(f"{str(folder)!r} holds a model of task {own.task!r}", expected="a text classifier")
    if own is not None and (options is None or _same_source(options, own.data)):
        return _own_data(folder, own)
    if options is None:
        raise ModelFolderError(f"{str(folder)!r} holds a model but no run", expected="--data to measure on")
    return read_dataset(options)


def _own_data(folder: Path, config: RunConfig) -> Dataset:
    data = load_data(config)
    assert isinstance(data, TextData)
    if (folder / RESULT).is_file() and read_result(folder)["data_fingerprint"] != data.fingerprints["data"]:
        raise ModelFolderError(
            f"the data in {config.data.source!r} is not what {str(folder)!r} was trained with",
            todo="give other data as a copy with --data, or train again",
        )
    drawn = data.draw(config.training.seed)
    return Dataset(data.name, drawn.train, drawn.validation, drawn.test, data.classes)


def _same_source(given: DataOptions, own: DataOptions) -> bool:
    same = Path(given.source).resolve() == Path(own.source).resolve() or given.source == own.source
    return same and all(getattr(given, name) == getattr(own, name) for name in _COLUMNS)
