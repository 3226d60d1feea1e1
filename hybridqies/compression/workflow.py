"""From a causal language model and a text to a compressed model with its report."""

from __future__ import annotations

import math
import shutil
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from hybridqies.compression.arms import REPORT, OnStep
from hybridqies.compression.comparison import Options, Subject, check_options, compare, healing_folder
from hybridqies.compression.healing import Healing, heal
from hybridqies.compression.loading import load_causal_model
from hybridqies.compression.model import collect_covariances, find_layers
from hybridqies.compression.perplexity import Perplexity, cut_windows, measure_perplexity
from hybridqies.compression.saving import check_new, export_dense, making_folder, save_compressed
from hybridqies.errors import DataError, InputError
from hybridqies.files import expand_home, write_json
from hybridqies.options import to_mapping
from hybridqies.quiet import quiet_transformers


@dataclass(frozen=True)
class CompressionConfig(Options):
    """What `shrink` does.

    The first `windows` windows of `width` tokens of the text are read to calibrate; perplexities are measured
    on as many after them. `heal` trains the factors on another text afterwards.
    """

    _: KW_ONLY
    text: Path
    windows: int = 8
    width: int = 256
    heal: Healing | None = None


def shrink(
    config: CompressionConfig, folder: Path, on_step: OnStep | None = None, *, resume: bool = False
) -> dict[str, Any]:
    """Compresses a model, measures it beside all controls, and writes all of it to `folder`.

    The folder holds the model, its tokenizer and the report. It is written whole or not at all.
    The report is returned, and is in `compression.json`. With `resume`, healing that was interrupted goes on
    after its last whole epoch, to the same model bit for bit.

    Raises
    ------
    InputError: a model that cannot be loaded, an option out of range, a folder that exists, or what
    `compress` refuses.
    DataError: the text is too short.
    ModelFolderError: the checkpoint of healing is damaged, or of other options.
    """
    tell = on_step or (lambda *_: None)
    if config.windows < 2 or config.width < 2:
        raise InputError(
            f"{config.windows} windows of {config.width} tokens were asked for", expected="2 or more of each"
        )
    check_options(config, config.heal)
    check_new(folder)
    model, tokenizer = load_causal_model(config.model)
    subject = _prepare(config, model, tokenizer, tell)
    found = compare(config, subject, folder, tell, resume=resume)
    report = {
        "config": {**to_mapping(config), "text": str(config.text)},
        "tokens": config.windows * config.width,
        **found,
    }
    with making_folder(folder) as new, quiet_transformers():
        (export_dense if config.export == "dense" else save_compressed)(model, new)
        tokenizer.save_pretrained(new)
        write_json(new / REPORT, report)
    shutil.rmtree(healing_folder(folder), ignore_errors=True)
    return report


def _prepare(config: CompressionConfig, model: Any, tokenizer: Any, tell: OnStep) -> Subject:
    """Reads the texts and the untouched model."""
    originals = find_layers(model, config.layers)
    both = _read_windows(tokenizer, config.text, 2 * config.windows, config.width)
    healing, lesson = config.heal, torch.empty(0, 0)
    if healing is not None:
        lesson = _read_windows(tokenizer, healing.text, healing.windows, healing.width)
    calibration, windows = both.split(config.windows)
    tell("calibrating", 0, 1)
    activations = collect_covariances(
        model, config.layers, calibration, lambda ids: model(input_ids=ids[None])
    )
    untouched = measure_perplexity(model, windows)
    return Subject(
        model,
        originals,
        activations,
        _describe(untouched, untouched),
        lambda: _describe(measure_perplexity(model, windows), untouched),
        sense=lambda: measure_perplexity(model, windows).ratio_to(untouched),
        cost=lambda ratio: math.log(ratio.value),
        heal=None if healing is None else lambda **given: heal(model, lesson, healing, **given),
        lesson=f"{(healing.epochs if healing else 0) * lesson.numel():,} tokens",
    )


def _read_windows(tokenizer: Any, path: str | Path, n_windows: int, width: int) -> torch.Tensor:
    try:
        text = expand_home(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8 text ({error.reason})") from None
    return cut_windows(tokenizer(text)["input_ids"], n_windows, width)


def _describe(found: Perplexity, untouched: Perplexity) -> dict[str, Any]:
    return {
        "perplexity": asdict(found.interval),
        "ratio": asdict(found.ratio_to(untouched)),
        "tokens_per_second": round(found.tokens_per_second, 1),
    }
