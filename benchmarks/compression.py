"""Perplexity of a language model with all layers of one type compressed: every method, and the controls.

    python benchmarks/compression.py MODEL --text wiki.test.txt --calibrate wiki.valid.txt

MODEL is a folder or name of a causal language model. The covariance of the activations comes from other text
than the perplexity. `--blocks 10-12` compresses only those blocks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from hybridqies.compression import (
    METHODS,
    Perplexity,
    collect_covariances,
    compress,
    cut_windows,
    find_layers,
    load_causal_model,
    measure_perplexity,
    restore,
)

TYPES = ("k_proj", "q_proj", "o_proj", "v_proj", "gate_proj", "up_proj", "down_proj")


def main(arguments: list[str] | None = None) -> None:
    options = read_options(arguments)
    model, tokenizer = load_causal_model(options.model)
    windows = read(tokenizer, options.text, options.windows, options.width)
    calibration = read(tokenizer, options.calibrate, options.seen or options.windows, options.width)
    untouched = measure_perplexity(model, windows)
    show = untouched.interval
    print(f"untouched: {show.value:.2f} [{show.low:.2f}, {show.high:.2f}] on {windows.numel()} tokens")
    for kind in options.types:
        patterns = choose_patterns(model, kind, options.blocks)
        seen = collect_covariances(model, patterns, calibration, lambda ids: model(input_ids=ids[None]))
        originals = dict(find_layers(model, patterns))
        for method in options.methods:
            for keep in options.keep if METHODS[method].has_size else options.keep[:1]:
                start = time.perf_counter()
                records = compress(model, method, keep, patterns, seen, forward="rebuilt")
                seconds = time.perf_counter() - start
                share = sum(each.parameters for each in records) / sum(
                    each.parameters_before for each in records
                )
                row = f"{kind:10} {method:9} {share:6.1%} of {len(records)} layers"
                report(row, measure_perplexity(model, windows), untouched, seconds)
                restore(model, originals)


def report(row: str, found: Perplexity, untouched: Perplexity, seconds: float) -> None:
    ratio = found.ratio_to(untouched)
    print(f"{row}: x {ratio.value:9.3f} [{ratio.low:.3f}, {ratio.high:.3f}] {seconds:6.1f} s", flush=True)


def choose_patterns(model: Any, kind: str, blocks: str | None) -> list[str]:
    if blocks is None:
        return [kind]
    first, _, last = blocks.partition("-")
    wanted = {str(block) for block in range(int(first), int(last or first) + 1)}
    return [name for name in find_layers(model, kind) if wanted & set(name.split("."))]


def read(tokenizer: Any, path: Path, windows: int, width: int) -> torch.Tensor:
    text = path.read_text(encoding="utf-8")[: 40 * windows * width]
    return cut_windows(tokenizer(text)["input_ids"], windows, width)


def without_circuits() -> list[str]:
    """Those that take minutes rather than hours."""
    return [name for name, row in METHODS.items() if not row.has_circuits]


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("model")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--calibrate", type=Path, required=True)
    parser.add_argument("--types", nargs="+", default=TYPES)
    parser.add_argument("--methods", nargs="+", default=without_circuits(), choices=METHODS)
    parser.add_argument("--keep", nargs="+", type=float, default=[0.5, 0.25])
    parser.add_argument("--blocks")
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--seen", type=int, help="windows to calibrate on; default: as many as --windows")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
