"""From a causal language model and a text to a compressed model with its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hybridqies.compression.healing import Healing, heal
from hybridqies.compression.layer import CompressedLinear, Forward, Gates, check_forward
from hybridqies.compression.loading import load_causal_model, quiet_transformers
from hybridqies.compression.methods import METHODS, CircuitOptions, check_share, find_method
from hybridqies.compression.model import collect_covariances, compress, find_layers, relative_error, restore
from hybridqies.compression.perplexity import Perplexity, cut_windows, measure_perplexity
from hybridqies.compression.plain_layers import weight_of
from hybridqies.compression.saving import check_new, export_dense, making_folder, save_compressed
from hybridqies.compression.sensitivity import Sensitivity, profile, spare_sensitive
from hybridqies.errors import DataError, InputError
from hybridqies.files import expand_home, write_json
from hybridqies.options import to_mapping

REPORT = "compression.json"
EXPORTS = ("factorised", "dense")
CONTROLS = ("svd", "wsvd", "zero", "gaussian")
OnStep = Callable[[str, int, int], None]
"""Called with a stage, how many of its steps are done and how many there are."""


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
class _Bench:
    """What every arm is measured with."""

    config: CompressionConfig
    model: Any
    windows: torch.Tensor
    healing: torch.Tensor | None
    untouched: Perplexity
    activations: Mapping[str, torch.Tensor]
    originals: Mapping[str, nn.Module]


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
    bench = _prepare(config, model, tokenizer, tell)
    profiles = _profile(bench, tell)
    sizes = {name: weight_of(layer).numel() for name, layer in bench.originals.items()}
    shares = dict.fromkeys(sizes, config.keep)
    if config.spare:
        shares = spare_sensitive(profiles[0], sizes, config.keep, config.spare)
    arms = [_describe(bench, "untouched", "the model as it was", bench.untouched)]
    names = dict.fromkeys((config.method, *CONTROLS))
    chosen: dict[str, nn.Module] = {}
    for done, name in enumerate(names, 1):
        arm, replacements = _measure_arm(bench, name, shares)
        arms.append(arm)
        if name == config.method:
            chosen = replacements
        tell("measuring", done, len(names))
    restore(model, chosen)
    healed = _heal(bench, tell)
    report = {
        "config": _record(config),
        "tokens": bench.windows.numel(),
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


def _prepare(config: CompressionConfig, model: Any, tokenizer: Any, tell: OnStep) -> _Bench:
    originals = find_layers(model, config.layers)
    both = _read_windows(tokenizer, config.text, 2 * config.windows, config.width)
    healing = None
    if config.heal:
        healing = _read_windows(tokenizer, config.heal.text, config.heal.windows, config.heal.width)
    calibration, windows = both.split(config.windows)
    tell("calibrating", 0, 1)
    activations = collect_covariances(
        model, config.layers, calibration, lambda ids: model(input_ids=ids[None])
    )
    untouched = measure_perplexity(model, windows)
    return _Bench(config, model, windows, healing, untouched, activations, originals)


def _read_windows(tokenizer: Any, path: str | Path, n_windows: int, width: int) -> torch.Tensor:
    try:
        text = expand_home(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8 text ({error.reason})") from None
    return cut_windows(tokenizer(text)["input_ids"], n_windows, width)


def _profile(bench: _Bench, tell: OnStep) -> tuple[list[Sensitivity], list[Sensitivity]]:
    config = bench.config
    if not config.profile and not config.spare:
        return [], []
    return profile(
        bench.model,
        config.method,
        config.keep,
        config.layers,
        bench.windows,
        bench.untouched,
        bench.activations,
        n_sites=config.n_sites,
        circuits=config.circuits,
        on_layer=lambda done, total: tell("profiling", done, total),
    )


def _measure_arm(
    bench: _Bench, method: str, shares: Mapping[str, float]
) -> tuple[dict[str, Any], dict[str, nn.Module]]:
    """One method at the same layers and shares, and its layers; the model is the same afterwards."""
    config = bench.config
    compress(
        bench.model,
        method,
        shares,
        config.layers,
        bench.activations,
        n_sites=config.n_sites,
        seed=config.seed,
        circuits=config.circuits,
        forward=config.forward,
    )
    try:
        found = measure_perplexity(bench.model, bench.windows)
        arm = _describe(bench, method, METHODS[method].meaning, found)
        replacements = {name: bench.model.get_submodule(name) for name in shares}
    finally:
        restore(bench.model, bench.originals)
    return arm, replacements


def _heal(bench: _Bench, tell: OnStep) -> list[dict[str, Any]]:
    """Trains the factors, if that was asked for, and measures the model again."""
    config = bench.config
    if config.heal is None or bench.healing is None:
        return []
    outcome = heal(bench.model, bench.healing, config.heal, lambda *steps: tell("healing", *steps))
    found = measure_perplexity(bench.model, bench.windows)
    meaning = f"the same, trained on {config.heal.epochs * bench.healing.numel():,} tokens"
    return [
        {**_describe(bench, f"{config.method} healed", meaning, found), "training": list(outcome.history)}
    ]


def _describe(bench: _Bench, arm: str, meaning: str, found: Perplexity) -> dict[str, Any]:
    """The row of the model as it is now."""
    layers = {name: bench.model.get_submodule(name) for name in bench.originals}
    compressed = {name: layer for name, layer in layers.items() if isinstance(layer, CompressedLinear)}
    errors = [relative_error(layer, weight_of(bench.originals[name])) for name, layer in compressed.items()]
    n_angles = sum(layer.n_angles for layer in compressed.values())
    angles = bench.config.circuits.price * n_angles if n_angles else 0
    gates = [side.gates.nbytes for side in bench.model.modules() if isinstance(side, Gates)]
    biases = [_count(layer) - weight_of(layer).numel() for layer in bench.originals.values()]
    return {
        "arm": arm,
        "meaning": meaning,
        "parameters": _count(bench.model) + angles,
        "layer_parameters": sum(map(_count, layers.values())) - sum(biases) + angles,
        "weight_error": sum(errors) / max(len(errors), 1),
        "bytes": sum(each.nbytes for each in bench.model.parameters()) + sum(gates),
        "perplexity": asdict(found.interval),
        "ratio": asdict(found.ratio_to(bench.untouched)),
        "tokens_per_second": round(found.tokens_per_second, 1),
    }


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _record(config: CompressionConfig) -> dict[str, Any]:
    """The configuration as JSON values."""
    return {**to_mapping(config), "text": str(config.text)}
