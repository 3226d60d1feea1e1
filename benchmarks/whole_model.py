"""A whole language model compressed by each method to equal sizes, before and after healing.

    python benchmarks/whole_model.py MODEL --text wiki.test.txt --calibrate wiki.valid.txt

MODEL is a folder or name of a causal language model. The first windows of the second text give the covariance
of the activations and the sensitivity of each layer; the windows after them are those to heal on.
All methods leave the same layers as they are, and keep the same share of the others.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch

from hybridqies.compression import (
    METHODS,
    Healing,
    Sensitivity,
    collect_covariances,
    compress,
    cut_windows,
    find_layers,
    heal,
    load_causal_model,
    measure_perplexity,
    profile,
    restore,
    spare_sensitive,
)


def main(arguments: list[str] | None = None) -> None:
    options = read_options(arguments)
    model, tokenizer = load_causal_model(options.model)
    windows = read(tokenizer, options.text, options.windows, options.width)
    whole = read(tokenizer, options.calibrate, options.windows + options.heal, options.width)
    calibration, lesson = whole[: options.windows], whole[options.windows :]
    originals = dict(find_layers(model, options.types))
    sizes = {name: layer.weight.numel() for name, layer in originals.items()}
    seen = collect_covariances(model, options.types, calibration, lambda ids: model(input_ids=ids[None]))
    untouched = measure_perplexity(model, windows)
    report(f"untouched {sum(sizes.values()):11,} of {len(sizes)} layers", untouched, untouched, 0.0)
    plans = {keep: dict.fromkeys(sizes, keep) for keep in options.keep}
    if options.spare:
        found = find_sensitivities(model, calibration, seen, options)
        costs = {each.name: math.log(each.measured.value) for each in found}
        plans = {keep: spare_sensitive(costs, sizes, keep, options.spare) for keep in options.keep}
    for keep, shares in plans.items():
        print(f"keep {keep}: {len(sizes) - len(shares)} of {len(sizes)} layers spared", flush=True)
    for method in options.methods:
        for shares in plans.values():
            start = time.perf_counter()
            records = compress(model, method, shares, options.types, seen)
            seconds = time.perf_counter() - start
            spared = sum(size for name, size in sizes.items() if name not in shares)
            kept = spared + sum(each.parameters for each in records)
            row = f"{method:9} {kept:11,} ({kept / sum(sizes.values()):.1%})"
            report(f"{row} before", measure_perplexity(model, windows), untouched, seconds)
            start = time.perf_counter()
            heal(model, lesson, Healing(str(options.calibrate), learning_rate=options.learning_rate))
            seconds = time.perf_counter() - start
            report(f"{row} healed", measure_perplexity(model, windows), untouched, seconds)
            restore(model, originals)


def find_sensitivities(
    model: Any, windows: torch.Tensor, seen: Any, options: argparse.Namespace
) -> list[Sensitivity]:
    """Each layer alone, halved by whitened SVD, on the first quarters of windows of the calibration."""
    width = options.width // 4
    some = windows.reshape(-1, width)[: options.profile]
    start = time.perf_counter()
    untouched = measure_perplexity(model, some)
    alone, _ = profile(
        model, "wsvd", 0.5, options.types, lambda: measure_perplexity(model, some).ratio_to(untouched), seen
    )
    print(f"profile of {len(alone)} layers: {time.perf_counter() - start:.0f} s", flush=True)
    return alone


def report(row: str, found: Any, untouched: Any, seconds: float) -> None:
    ratio = found.ratio_to(untouched)
    interval = f"{ratio.value:9.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    print(f"{row}: {found.interval.value:9.2f} x {interval} {seconds:6.1f} s", flush=True)


def read(tokenizer: Any, path: Path, windows: int, width: int) -> torch.Tensor:
    text = path.read_text(encoding="utf-8")[: 40 * windows * width]
    return cut_windows(tokenizer(text)["input_ids"], windows, width)


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("model")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--calibrate", type=Path, required=True)
    parser.add_argument("--types", nargs="+", default=["*_proj"])
    parser.add_argument("--methods", nargs="+", default=["svd", "wsvd", "mpo", "wmpo"], choices=METHODS)
    parser.add_argument("--keep", nargs="+", type=float, default=[0.7, 0.5])
    parser.add_argument("--spare", type=float, default=0.2, help="0: keep the same share of every layer")
    parser.add_argument("--windows", type=int, default=6, help="to measure on, and as many to calibrate")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--profile", type=int, default=4, help="quarters of windows to profile on")
    parser.add_argument("--heal", type=int, default=100, help="windows to heal on, one a step")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
