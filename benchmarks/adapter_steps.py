"""Processor time of a training step with each adapter on an encoder, as ratios to LoRA of rank 8.

    python benchmarks/adapter_steps.py

The adapters sit on every query and value layer. The methods take turns, one step each in every round,
on one thread and in one process; the ratio is the median over rounds. The tokens are random.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from hybridqies.adapters import CircuitConfig, QuantaConfig
from hybridqies.text import Encoder
from hybridqies.tuning import Tuning
from hybridqies.tuning.tunable import TunableEncoder

LAYERS = ["query", "value"]
BASELINE = "LoRA, r = 8"


def methods(axes: list[int] | None) -> dict[str, Any]:
    """What is timed: a configuration for peft, or None to train everything."""
    return {
        BASELINE: LoraConfig(r=8, target_modules=LAYERS),
        "QuanTA, zero start": QuantaConfig(target_modules=LAYERS, axes=axes, start="zero"),
        "QuanTA, frozen start": QuantaConfig(target_modules=LAYERS, axes=axes),
        "circuit, long range": CircuitConfig(target_modules=LAYERS),
        "circuit, butterfly": CircuitConfig(target_modules=LAYERS, circuit="butterfly"),
        "circuit, brickwork": CircuitConfig(target_modules=LAYERS, circuit="brickwork"),
        "the whole encoder": None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="all-MiniLM-L6-v2")
    parser.add_argument("--axes", help="of QuanTA, as 12,8,4 (default: proposed)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    axes = [int(axis) for axis in given.axes.split(",")] if given.axes else None
    record = measure(given.encoder, methods(axes), given.batch, given.tokens, given.rounds)
    print(json.dumps(record, indent=2) if given.json else table(record))


def measure(
    encoder: str, compared: dict[str, Any], batch: int, tokens: int, rounds: int
) -> list[dict[str, Any]]:
    """Seconds of a step and trained parameters of each method; a first round is not counted."""
    loaded = Encoder.load(encoder)
    steps, trained = {}, {}
    for name, config in compared.items():
        torch.manual_seed(0)
        model = TunableEncoder(loaded, Tuning("full", last=1), 0)
        adapted = model.requires_grad_(True) if config is None else get_peft_model(model, config)
        trained[name] = sum(each.numel() for each in adapted.parameters() if each.requires_grad)
        steps[name] = step_of(adapted, loaded.dimension, batch, tokens)
    seconds: dict[str, list[float]] = {name: [] for name in compared}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            start = time.process_time()
            step()
            if turn:
                seconds[name].append(time.process_time() - start)
    return [
        {
            "method": name,
            "parameters": trained[name],
            "seconds": statistics.median(own),
            "ratio": statistics.median(a / b for a, b in zip(own, seconds[BASELINE], strict=True)),
        }
        for name, own in seconds.items()
    ]


def step_of(model: nn.Module, width: int, batch: int, tokens: int) -> Callable[[], None]:
    """A step of cross-entropy on two classes, with AdamW."""
    readout = nn.Linear(width, 2)
    inputs: dict[str, Tensor] = {
        "input_ids": torch.randint(0, 10, (batch, tokens)),
        "attention_mask": torch.ones(batch, tokens, dtype=torch.int64),
    }
    labels = torch.arange(batch) % 2
    parameters = [each for each in (*model.parameters(), *readout.parameters()) if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(readout(model(inputs)), labels).backward()
        optimizer.step()

    return step


def table(record: list[dict[str, Any]]) -> str:
    """The record as a Markdown table."""
    rows = (
        f"| {each['method']} | {each['parameters']:,} | {each['seconds']:.3f} | {each['ratio']:.2f} |"
        for each in record
    )
    return "\n".join(["| method | trained parameters | CPU s a step | ratio |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    main()
