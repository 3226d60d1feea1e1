"""From a causal language model and a text to a compressed model with its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from hybridqies.compression.arms import REPORT, Bench, OnStep, describe_arm, measure_arms
from hybridqies.compression.healing import Healing, heal
from hybridqies.compression.loading import load_causal_model
from hybridqies.compression.methods import METHODS, CircuitOptions, check_share, find_method
from hybridqies.compression.model import collect_covariances, compress, find_layers
from hybridqies.compression.perplexity import Perplexity, cut_windows, measure_perplexity
from hybridqies.compression.saving import check_new, export_dense, making_folder, save_compressed
from hybridqies.compression.sensitivity import Sensitivity, profile, spare_sensitive
from hybridqies.errors import DataError, InputError
from hybridqies.factorised.layer import Forward, check_forward
from hybridqies.factorised.plain_layers import weight_of
from hybridqies.files import expand_home, write_json
from hybridqies.options import to_mapping
from hybridqies.quiet import quiet_transformers

EXPORTS = ("factorised", "dense")


@dataclass(frozen=True)
class CompressionConfig:
    """What `shrink` does.

    The first `windows` windows of `width` tokens of the text are read to calibrate; perplexities are measured
    on as many after them. `spare` is the share of the parameters in layers that stay as they are, the most
    sensitive ones. `heal` trains the factors on another text afterwards. `circuits` are the
    options of `disentangled`. `forward` is as in `compress`. `export` is "factorised" or "dense".
    """

    model: str
    method: str
    keep: float
    layers: tuple[str, ...]
    text: Path
    n_sites: int = 2
    windows: int = 8
    width: int = 256
    profile: bool = False
    spare: float = 0.0
    export: str = "factorised"
    seed: int = 0
    heal: Healing | None = None
    circuits: CircuitOptions = field(default_factory=CircuitOptions)
    forward: Forward | None = None


@dataclass(frozen=True, eq=False)
class _Texts:
    """What the model reads to be measured and to be healed, and how the untouched model reads the former."""

    windows: torch.Tensor
    lesson: torch.Tensor | None
    untouched: Perplexity
    activations: Mapping[str, torch.Tensor]


def shrink(config: CompressionConfig, folder: Path, on_step: OnStep | None = None) -> dict[str, Any]:
    """Compresses a model, measures it beside all controls, and writes all of it to `folder`.

    The folder holds the model, its tokenizer and the report. It is written whole or not at all.
    The report is returned, and is in `compression.json`.

    Raises
    ------
    InputError: a model that cannot be loaded, an option out of range, a folder that exists, or what
    `compress` refuses.
    DataError: the text is too short.
    """
    tell = on_step or (lambda *_: None)
    find_method(config.method)
    _check(config)
    check_new(folder)
    model, tokenizer = load_causal_model(config.model)
    originals = find_layers(model, config.layers)
    texts = _read_texts(config, model, tokenizer, tell)
    profiles = _profile(config, model, texts, tell)
    sizes = {name: weight_of(layer).numel() for name, layer in originals.items()}
    shares = dict.fromkeys(sizes, config.keep)
    if config.spare:
        shares = spare_sensitive(profiles[0], sizes, config.keep, config.spare)
    bench = Bench(
        model,
        originals,
        lambda method: _compress(config, model, method, shares, texts),
        lambda: _describe(measure_perplexity(model, texts.windows), texts.untouched),
        config.circuits.price,
    )
    arms = measure_arms(bench, config.method, _describe(texts.untouched, texts.untouched), tell)
    healed = _heal(config, bench, texts, tell)
    report = {
        "config": {**to_mapping(config), "text": str(config.text)},
        "tokens": texts.windows.numel(),
        "spared": [name for name in sizes if name not in shares],
        "arms": [*arms[:2], *healed, *arms[2:]],
        "profile": [asdict(each) for each in profiles[0]],
        "profile_by_type": [asdict(each) for each in profiles[1]],
    }
    with making_folder(folder) as new, quiet_transformers():
        (export_dense if config.export == "dense" else save_compressed)(model, new)
        tokenizer.save_pretrained(new)
        write_json(new / REPORT, report)
    return report


def _check(config: CompressionConfig) -> None:
    if config.windows < 2 or config.width < 2:
        raise InputError(
            f"{config.windows} windows of {config.width} tokens were asked for", expected="2 or more of each"
        )
    if config.export not in EXPORTS:
        raise InputError(f"export was given as {config.export!r}", expected="factorised or dense")
    check_share(config.keep)
    if config.forward is not None:
        check_forward(config.forward)
    if config.heal and not METHODS[config.method].trains:
        raise InputError(
            f"method {config.method!r} leaves nothing to train", expected="another method, or no healing"
        )
    if not 0 <= config.spare < config.keep:
        raise InputError(
            f"spare was given as {config.spare}", expected=f"at least 0 and less than keep, {config.keep}"
        )


def _read_texts(config: CompressionConfig, model: Any, tokenizer: Any, tell: OnStep) -> _Texts:
    both = _read_windows(tokenizer, config.text, 2 * config.windows, config.width)
    lesson = None
    if config.heal:
        lesson = _read_windows(tokenizer, config.heal.text, config.heal.windows, config.heal.width)
    calibration, windows = both.split(config.windows)
    tell("calibrating", 0, 1)
    activations = collect_covariances(
        model, config.layers, calibration, lambda ids: model(input_ids=ids[None])
    )
    return _Texts(windows, lesson, measure_perplexity(model, windows), activations)


def _read_windows(tokenizer: Any, path: str | Path, n_windows: int, width: int) -> torch.Tensor:
    try:
        text = expand_home(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8 text ({error.reason})") from None
    return cut_windows(tokenizer(text)["input_ids"], n_windows, width)


def _profile(
    config: CompressionConfig, model: Any, texts: _Texts, tell: OnStep
) -> tuple[list[Sensitivity], list[Sensitivity]]:
    if not config.profile and not config.spare:
        return [], []
    return profile(
        model,
        config.method,
        config.keep,
        config.layers,
        texts.windows,
        texts.untouched,
        texts.activations,
        n_sites=config.n_sites,
        circuits=config.circuits,
        on_layer=lambda done, total: tell("profiling", done, total),
    )


def _compress(
    config: CompressionConfig, model: Any, method: str, shares: Mapping[str, float], texts: _Texts
) -> None:
    compress(
        model,
        method,
        shares,
        config.layers,
        texts.activations,
        n_sites=config.n_sites,
        forward=config.forward,
        seed=config.seed,
        circuits=config.circuits,
    )


def _heal(config: CompressionConfig, bench: Bench, texts: _Texts, tell: OnStep) -> list[dict[str, Any]]:
    """Trains the factors, if that was asked for, and measures the model again."""
    if config.heal is None or texts.lesson is None:
        return []
    outcome = heal(bench.model, texts.lesson, config.heal, lambda *steps: tell("healing", *steps))
    meaning = f"the same, trained on {config.heal.epochs * texts.lesson.numel():,} tokens"
    arm = describe_arm(bench, f"{config.method} healed", meaning, bench.measure())
    return [{**arm, "training": list(outcome.history)}]


def _describe(found: Perplexity, untouched: Perplexity) -> dict[str, Any]:
    return {
        "perplexity": asdict(found.interval),
        "ratio": asdict(found.ratio_to(untouched)),
        "tokens_per_second": round(found.tokens_per_second, 1),
    }
