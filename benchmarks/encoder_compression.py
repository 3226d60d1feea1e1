"""A compressed sentence encoder at equal parameters: every method, before and after healing, in one table.

    python benchmarks/encoder_compression.py all-MiniLM-L6-v2 --data sst2 --heal sst2/train.csv

The accuracy is that of a logistic head on the embeddings. Its difference to the untouched encoder is paired
by text. The distance is the change of the embeddings of the training texts, which calibrate.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from hybridqies.compression import (
    METHODS,
    EncoderHealing,
    collect_covariances,
    compress,
    find_layers,
    heal_encoder,
    measure_accuracy,
    restore,
)
from hybridqies.factorised.plain_layers import weight_of
from hybridqies.text import Dataset, Encoder, few_shot, load_dataset, read_table
from hybridqies.training import relative_distances

LAYERS = ["query", "key", "value", "*.layer.*.dense"]


def main(arguments: list[str] | None = None) -> None:
    """Prints one line for each method, before and after healing."""
    options = read_options(arguments)
    encoder = Encoder.load(options.encoder)
    data = read_data(options)
    model: Any = encoder.copy_model()
    originals = find_layers(model, options.layers)
    size = sum(weight_of(layer).numel() for layer in originals.values())
    seen = list(data.train.texts)
    activations = collect_covariances(model, options.layers, [seen], model.encode)
    untouched, before = measure_accuracy(model, data), embed(model, seen)
    lesson = [str(text) for text in read_table(options.heal, options.text_column).texts[: options.texts]]
    tokens, targets = encoder.tokenise(lesson), embed(model, lesson)
    healing = EncoderHealing(str(options.heal), learning_rate=options.learning_rate, epochs=options.epochs)
    print(
        f"untouched {size:11,} {untouched.interval.value:.4f} on {len(untouched.correct)} texts", flush=True
    )

    def report(row: str, parameters: float, seconds: float) -> None:
        found = measure_accuracy(model, data)
        change = found.difference_to(untouched)
        distance = float(relative_distances(embed(model, seen), before).mean())
        interval = f"{change.value:+.4f} [{change.low:+.4f}, {change.high:+.4f}]"
        print(
            f"{row:15} {parameters:11,.0f} {found.interval.value:.4f} {interval} "
            f"distance {distance:.4f} {seconds:6.1f} s",
            flush=True,
        )

    for method in options.methods:
        start = time.perf_counter()
        records = compress(model, method, options.keep, options.layers, activations)
        parameters = sum(each.parameters for each in records)
        report(method, parameters, time.perf_counter() - start)
        start = time.perf_counter()
        heal_encoder(model, tokens, targets, healing)
        report(f"{method} healed", parameters, time.perf_counter() - start)
        restore(model, originals)


def embed(model: Any, texts: Sequence[Any]) -> torch.Tensor:
    found: torch.Tensor = model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)
    return found.float().cpu().clone()


def read_data(options: argparse.Namespace) -> Dataset:
    """So many texts of each class to train on, and some of the test part."""
    data = few_shot(load_dataset(options.data), options.per_class, 0.0, 0)
    assert data.test is not None
    drawn = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(0))
    return replace(data, test=data.test.take(drawn[: options.test].tolist()))


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("encoder")
    parser.add_argument("--data", required=True, help="labelled texts")
    parser.add_argument("--heal", required=True, help="a file of texts to heal on")
    parser.add_argument("--text-column", default="text", help="of the file to heal on")
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--methods", nargs="+", default=["svd", "wsvd", "mpo", "wmpo"], choices=METHODS)
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--per-class", type=int, default=128)
    parser.add_argument("--test", type=int, default=600, help="test texts that are drawn")
    parser.add_argument("--texts", type=int, default=2000, help="texts to heal on")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
