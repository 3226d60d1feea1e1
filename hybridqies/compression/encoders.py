"""Sentence encoders: compressed beside every control, and measured by the accuracy of a logistic head."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybridqies.compression.arms import REPORT, OnStep
from hybridqies.compression.comparison import Options, Subject, check_options, compare, healing_folder
from hybridqies.compression.healing import EncoderHealing, heal_encoder
from hybridqies.compression.model import collect_covariances, find_layers, to_dense
from hybridqies.compression.perplexity import Interval
from hybridqies.compression.saving import check_new, keep_factors, making_folder
from hybridqies.errors import DataError, InputError
from hybridqies.files import expand_home, write_json
from hybridqies.heads import HeadContext, build_head
from hybridqies.options import to_mapping, within
from hybridqies.quiet import quiet_transformers
from hybridqies.text import Dataset, Encoder, Examples, few_shot, load_dataset, split
from hybridqies.training import (
    CrossEntropy,
    Labelled,
    TrainingConfig,
    fit,
    predict_probabilities,
    relative_distances,
)

Z = 1.959964
"""The quantile of the normal distribution for 95 %."""

_BATCH = 32


@dataclass(frozen=True)
class TaskData:
    """Labelled texts, and how they are divided.

    Without a test part, `test_fraction` of the rows is drawn by the seed. With `per_class`, so many texts of
    each class train and all others test.
    """

    name: str
    text_column: str = "text"
    label_column: str = "label"
    per_class: int | None = None
    test_fraction: float = 0.2


@dataclass(frozen=True)
class EncoderConfig(Options):
    """What `shrink_encoder` does.

    A logistic head is fitted to the embeddings of the data's training part and measured on its test part.
    The first `texts` texts of the training part calibrate, and profiles are measured on them.
    `heal` brings the embeddings of another text back to those of the untouched encoder.
    """

    _: KW_ONLY
    data: TaskData
    texts: int = 256
    heal: EncoderHealing | None = None

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
        return _interval_of_mean(self.correct.double() - other.correct.double())


def shrink_encoder(
    config: EncoderConfig, folder: Path, on_step: OnStep | None = None, *, resume: bool = False
) -> dict[str, Any]:
    """Compresses a sentence encoder, measures it beside all controls, and writes all of it to `folder`.

    The folder is an encoder that `Encoder.load` reads, with the factors or dense, beside the report
    `compression.json`, which is returned. It is written whole or not at all. With `resume`, healing that was
    interrupted goes on after its last whole epoch, to the same encoder bit for bit.

    Raises
    ------
    InputError: an encoder that cannot be loaded, an option out of range, pairs of texts, a folder that
    exists, or what `compress` refuses.
    DataError: the data or the text to heal on cannot be used.
    ModelFolderError: the checkpoint of healing is damaged, or of other options.
    """
    tell = on_step or (lambda *_: None)
    check_options(config, config.heal)
    check_new(folder)
    dataset = _read_data(config)
    encoder = Encoder.load(config.model)
    subject = _prepare(config, encoder, dataset, tell)
    model = subject.model
    found = compare(config, subject, folder, tell, resume=resume)
    report = {"config": to_mapping(config), "data": dataset.describe(), **found}
    with making_folder(folder) as new, quiet_transformers():
        (to_dense if config.export == "dense" else keep_factors)(model)
        model.save(str(new))
        write_json(new / REPORT, report)
    shutil.rmtree(healing_folder(folder), ignore_errors=True)
    return report


def _prepare(config: EncoderConfig, encoder: Encoder, dataset: Dataset, tell: OnStep) -> Subject:
    """Reads the texts, and embeds them by the untouched encoder."""
    model: Any = encoder.copy_model()
    originals = find_layers(model, config.layers)
    healing, lesson = config.heal, [] if config.heal is None else _read_lines(config.heal)
    tell("calibrating", 0, 1)
    seen = list(dataset.train.texts[: config.texts])
    activations = collect_covariances(model, config.layers, [seen], lambda texts: _embed(model, texts))
    before = _embed(model, seen)
    untouched = measure_accuracy(model, dataset, config.seed)
    tokens = encoder.tokenise(lesson) if healing else None
    targets = _embed(model, lesson) if healing else None

    def heal(**given: Any) -> Any:
        assert healing is not None
        assert tokens is not None
        assert targets is not None
        return heal_encoder(model, tokens, targets, healing, **given)

    return Subject(
        model,
        originals,
        activations,
        _describe(untouched, untouched),
        lambda: _describe(measure_accuracy(model, dataset, config.seed), untouched),
        sense=lambda: _interval_of_mean(relative_distances(_embed(model, seen), before)),
        cost=lambda change: change.value,
        heal=heal if healing else None,
        lesson=f"{healing.epochs if healing else 0} × {len(lesson):,} texts",
    )


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
    data = config.data
    dataset = load_dataset(data.name, data.text_column, data.label_column)
    if dataset.has_pairs:
        raise InputError(
            f"data {data.name!r} has pairs of texts", expected="single texts", todo="choose other data"
        )
    if data.per_class is not None:
        return few_shot(dataset, data.per_class, 0.0, config.seed)
    drawn = split(dataset, 0.0, data.test_fraction, config.seed)
    if drawn.test is None or not len(drawn.test):
        raise InputError(
            f"test_fraction {data.test_fraction} leaves no test texts", expected="a share above 0"
        )
    return drawn


def _read_lines(healing: EncoderHealing) -> list[str]:
    """The texts to heal on: lines that are not empty."""
    try:
        lines = expand_home(healing.text).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{healing.text!r} is not UTF-8 text ({error.reason})") from None
    found = [line.strip() for line in lines if line.strip()]
    if len(found) < healing.texts:
        raise DataError(
            f"the text has {len(found)} lines",
            expected=f"{healing.texts}, one text in each",
            todo="give more, or a smaller heal.texts",
        )
    return found[: healing.texts]


def _interval_of_mean(values: Tensor) -> Interval:
    """The mean of paired differences, with a normal interval."""
    mean = float(values.mean())
    half = Z * float((values - mean).square().mean().sqrt()) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


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
