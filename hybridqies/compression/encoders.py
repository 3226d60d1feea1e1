"""Sentence encoders: compressed beside every control, and measured by the accuracy of a logistic head."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybridqies.compression.arms import REPORT, Bench, OnStep, measure_arms
from hybridqies.compression.methods import CircuitOptions, check_share, find_method
from hybridqies.compression.model import collect_covariances, compress, find_layers, to_dense
from hybridqies.compression.perplexity import Interval
from hybridqies.compression.saving import check_new, making_folder
from hybridqies.errors import InputError
from hybridqies.factorised.layer import Forward, check_forward
from hybridqies.files import write_json
from hybridqies.heads import HeadContext, build_head
from hybridqies.options import to_mapping, within
from hybridqies.quiet import quiet_transformers
from hybridqies.text import Dataset, Encoder, Examples, few_shot, load_dataset, split
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit, predict_probabilities

Z = 1.959964
"""The quantile of the normal distribution for 95 %."""

_BATCH = 32


@dataclass(frozen=True)
class EncoderConfig:
    """What `shrink_encoder` does.

    A logistic head is fitted to the embeddings of the data's training part and measured on its test part.
    Without a test part, `test_fraction` of the rows is drawn by `seed`. With `per_class`, so many texts of
    each class train and all others test. The first `texts` texts of the training part calibrate.
    """

    model: str
    method: str
    keep: float
    layers: tuple[str, ...]
    data: str
    text_column: str = "text"
    label_column: str = "label"
    per_class: int | None = None
    test_fraction: float = 0.2
    texts: int = 256
    n_sites: int = 2
    forward: Forward | None = None
    circuits: CircuitOptions = field(default_factory=CircuitOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        within(self, "compression option", texts=(1, 1e9))


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Which test texts were classified correctly, (N,), and how fast texts were embedded."""

    correct: Tensor
    texts_per_second: float

    @property
    def interval(self) -> Interval:
        """The accuracy with Wilson's interval."""
        count, share = len(self.correct), float(self.correct.double().mean())
        centre = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
        half = Z * math.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2) / (1 + Z**2 / count)
        return Interval(share, centre - half, centre + half)

    def difference_to(self, other: Accuracy) -> Interval:
        """The gain over another on the same texts, with a normal interval on the paired differences."""
        gains = self.correct.double() - other.correct.double()
        mean = float(gains.mean())
        half = Z * float((gains - mean).square().mean().sqrt()) / math.sqrt(len(gains))
        return Interval(mean, mean - half, mean + half)


def shrink_encoder(config: EncoderConfig, folder: Path, on_step: OnStep | None = None) -> dict[str, Any]:
    """Compresses a sentence encoder, measures it beside all controls, and writes all of it to `folder`.

    The folder is an ordinary sentence-transformers model with dense weights, beside the report
    `compression.json`, which is returned. It is written whole or not at all.

    Raises
    ------
    InputError: an encoder that cannot be loaded, an option out of range, pairs of texts, a folder that
    exists, or what `compress` refuses.
    DataError: the data cannot be used.
    """
    tell = on_step or (lambda *_: None)
    find_method(config.method)
    check_share(config.keep)
    if config.forward is not None:
        check_forward(config.forward)
    check_new(folder)
    dataset = _read_data(config)
    model: Any = Encoder.load(config.model).copy_model()
    originals = find_layers(model, config.layers)
    tell("calibrating", 0, 1)
    lesson = list(dataset.train.texts[: config.texts])
    activations = collect_covariances(model, config.layers, [lesson], lambda texts: _embed(model, texts))
    untouched = measure_accuracy(model, dataset, config.seed)
    bench = Bench(
        model,
        originals,
        lambda method: compress(
            model,
            method,
            config.keep,
            config.layers,
            activations,
            n_sites=config.n_sites,
            forward=config.forward,
            seed=config.seed,
            circuits=config.circuits,
        ),
        lambda: _describe(measure_accuracy(model, dataset, config.seed), untouched),
        config.circuits.price,
    )
    arms = measure_arms(bench, config.method, _describe(untouched, untouched), tell)
    report = {"config": to_mapping(config), "data": dataset.describe(), "arms": arms}
    with making_folder(folder) as new, quiet_transformers():
        to_dense(model)
        model.save(str(new))
        write_json(new / REPORT, report)
    return report


def measure_accuracy(model: Any, dataset: Dataset, seed: int = 0) -> Accuracy:
    """A logistic head on the embeddings of the training part, measured on the test part."""
    assert dataset.test is not None
    start = time.perf_counter()
    parts = [_embed(model, part.texts) for part in (dataset.train, dataset.test)]
    seconds = time.perf_counter() - start
    labels = [_number(part, dataset) for part in (dataset.train, dataset.test)]
    head = build_head("logistic", {}, HeadContext(parts[0].shape[1], len(dataset.classes)))
    training = Labelled(parts[0], labels[0])
    config = TrainingConfig(seed=seed)
    fit(head, training, None, CrossEntropy.of(config, training, len(dataset.classes)), config)
    answers = torch.from_numpy(predict_probabilities(head, parts[1]).argmax(axis=1))
    return Accuracy(answers == labels[1], sum(map(len, parts)) / seconds)


def _read_data(config: EncoderConfig) -> Dataset:
    dataset = load_dataset(config.data, config.text_column, config.label_column)
    if dataset.has_pairs:
        raise InputError(
            f"data {config.data!r} has pairs of texts", expected="single texts", todo="choose other data"
        )
    if config.per_class is not None:
        return few_shot(dataset, config.per_class, 0.0, config.seed)
    drawn = split(dataset, 0.0, config.test_fraction, config.seed)
    if drawn.test is None or not len(drawn.test):
        raise InputError(
            f"test_fraction {config.test_fraction} leaves no test texts", expected="a share above 0"
        )
    return drawn


def _embed(model: Any, texts: Sequence[Any]) -> Tensor:
    found: Tensor = model.encode(
        list(texts), batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False
    )
    # Embeddings are made in inference mode, where nothing can be fitted to them.
    return found.float().cpu().clone()


def _number(part: Examples, dataset: Dataset) -> Tensor:
    numbers = {label: number for number, label in enumerate(dataset.classes)}
    return torch.tensor([numbers[label] for label in part.labels])


def _describe(found: Accuracy, untouched: Accuracy) -> dict[str, Any]:
    return {
        "accuracy": asdict(found.interval),
        "difference": asdict(found.difference_to(untouched)),
        "texts_per_second": round(found.texts_per_second, 1),
    }
