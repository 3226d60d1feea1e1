"""A language model tuned by added layers: entanglement layers, the classical tap, and LoRA.

    python benchmarks/tuned_layers.py MODEL --train wiki.valid.txt --test wiki.test.txt

MODEL is a folder or name of a causal language model. The methods have about the same number of parameters,
as printed. All take the same windows of the first text in
the same order, and the same number of learning rates. The rate is chosen on windows of that text that are not
trained on, with the first seed; further seeds use it. Needs peft (the extra `adapters`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybridqies.compression import cut_windows, load_causal_model, measure_perplexity
from hybridqies.lm import insert_mixers
from hybridqies.training import NextToken, Schedule, TrainingConfig, Windows, fit

MIXERS = ("entangled", "tap")


def main(arguments: Sequence[str] | None = None) -> None:
    given = read_options(arguments)
    parts = read_parts(given)
    untouched = measure_perplexity(load_causal_model(given.model)[0], parts["test"])
    row = f"untouched: {untouched.interval.value:.3f}"
    print(f"{row} on {parts['test'].numel():,} tokens; tuned on {parts['train'].numel():,}", flush=True)
    for method in given.methods:
        rates = {rate: tune(method, rate, 0, parts, given, untouched) for rate in given.rates}
        best = min(rates, key=lambda rate: rates[rate])
        print(f"{method}: rate {best:g} chosen", flush=True)
        for seed in range(1, given.seeds):
            tune(method, best, seed, parts, given, untouched)


def tune(
    method: str,
    rate: float,
    seed: int,
    parts: dict[str, Tensor],
    given: argparse.Namespace,
    untouched: Any,
) -> float:
    """Prints the perplexity on the test windows; returns the loss on those for choosing the rate."""
    model, _ = load_causal_model(given.model)
    ids = parts["test"][:1]
    with torch.no_grad():
        before = model(input_ids=ids).logits
    model = add_layers(model, method, given, seed)
    with torch.no_grad():
        same = torch.equal(model(input_ids=ids).logits, before)
    start = time.process_time()
    config = TrainingConfig(
        epochs=1,
        batch_size=given.batch,
        learning_rate=rate,
        weight_decay=0.0,
        schedule=Schedule.COSINE,
        warmup=0.1,
        clip_norm=1.0,
        seed=seed,
    )
    fit(model, Windows(parts["train"]), None, NextToken(), config)
    seconds = time.process_time() - start
    chosen_by = measure_perplexity(model, parts["choose"]).interval.value
    found = measure_perplexity(model, parts["test"])
    count = sum(values.numel() for values in model.parameters() if values.requires_grad)
    ratio = found.ratio_to(untouched)
    print(
        f"{method:9} {count:9,} rate {rate:7g} seed {seed}: {'same' if same else 'OTHER'} logits before, "
        f"held out {chosen_by:.3f}, test {found.interval.value:.3f} = untouched x {ratio.value:.4f} "
        f"[{ratio.low:.4f}, {ratio.high:.4f}], {seconds:.0f} s",
        flush=True,
    )
    return chosen_by


def add_layers(model: Any, method: str, given: argparse.Namespace, seed: int) -> Any:
    if method in MIXERS:
        insert_mixers(model, given.blocks, mixing=method, context=given.width, rank=given.rank, seed=seed)
        return model
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    return get_peft_model(
        model,
        LoraConfig(
            r=given.lora_rank,
            lora_alpha=2 * given.lora_rank,
            target_modules=given.lora_targets,
            layers_to_transform=given.lora_blocks,
            task_type="CAUSAL_LM",
        ),
    )


def read_parts(given: argparse.Namespace) -> dict[str, Tensor]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(given.model)
    whole = read(tokenizer, given.train, given.choose + given.steps * given.batch, given.width)
    test = read(tokenizer, given.test, given.windows, given.width)
    return {"choose": whole[: given.choose], "train": whole[given.choose :], "test": test}


def read(tokenizer: Any, path: Path, windows: int, width: int) -> Tensor:
    text = path.read_text(encoding="utf-8")[: 40 * windows * width]
    return cut_windows(tokenizer(text)["input_ids"], windows, width)


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("model")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=[*MIXERS, "lora"], choices=[*MIXERS, "lora"])
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-3, 5e-3, 2e-2])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--windows", type=int, default=24, help="to measure on")
    parser.add_argument("--choose", type=int, default=8, help="windows to choose the rate on")
    parser.add_argument("--blocks", nargs="+", default=[f"model.layers.{at}" for at in (5, 15, 25)])
    parser.add_argument("--rank", type=int, default=4, help="levels of a register")
    parser.add_argument("--lora-rank", type=int, default=4)
    parser.add_argument("--lora-targets", nargs="+", default=["q_proj", "v_proj"])
    parser.add_argument("--lora-blocks", nargs="+", type=int, default=list(range(2, 30)))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
