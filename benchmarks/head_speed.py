"""How long the paper's head takes to train on a few-shot draw: on our engine, and on lightning.qubit.

    python benchmarks/head_speed.py

435 embeddings of 384 numbers, 50 epochs of batches of 16, 10 qubits: the sizes of the few-shot protocol. The
numbers are random, since time does not depend on them, and at hand, as cached embeddings are. Our engine
trains to the end; lightning.qubit takes a few steps (--steps), whose median stands for all.
Both heads are the same module and are held to the same logits and gradients first.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.backends import load_backend
from hybridqies.heads import build_head, head_options
from hybridqies.heads.base import Head, HeadContext
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit

TEXTS, INPUTS, EPOCHS, BATCH = 435, 384, 50, 16


def main() -> None:
    """Trains, times, compares and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--qubits", type=int, default=10)
    parser.add_argument("--encoders", type=int, default=8, help="circuits of the first module (default: 8)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps on lightning.qubit; 0: none")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    given = parser.parse_args()
    record = measure(given.qubits, given.encoders, given.steps)
    print(json.dumps(record, indent=2) if given.json else table(record))


def measure(n_qubits: int, encoders: int, steps: int) -> dict[str, Any]:
    """Seconds of a whole training on each engine."""
    head, data = build(n_qubits, encoders)
    peer = copy.deepcopy(head)
    peer.encoders.backend = peer.circuit.backend = load_backend("pennylane:lightning.qubit")  # type: ignore[union-attr]
    config = TrainingConfig(epochs=EPOCHS, batch_size=BATCH)
    n_steps = EPOCHS * math.ceil(TEXTS / BATCH)
    record: dict[str, Any] = {
        "texts": TEXTS,
        "epochs": EPOCHS,
        "batch": BATCH,
        "qubits": n_qubits,
        "encoders": encoders,
        "parameters": sum(parameter.numel() for parameter in head.parameters()),
        "steps": n_steps,
        "threads": torch.get_num_threads(),
    }
    if steps:
        record["lightning_step_seconds"] = statistics.median(peer_steps(head, peer, data, steps))
        record["lightning_seconds"] = record["lightning_step_seconds"] * n_steps
    fit(copy.deepcopy(head), data, None, CrossEntropy(), TrainingConfig(epochs=1, batch_size=BATCH))
    started = time.perf_counter()
    fit(head, data, None, CrossEntropy(), config)
    record["seconds"] = time.perf_counter() - started
    record["step_seconds"] = record["seconds"] / n_steps
    return record


def build(n_qubits: int, encoders: int) -> tuple[Head, Labelled]:
    """The head and random data, the same at every call."""
    random = torch.Generator().manual_seed(0)
    data = Labelled(
        torch.randn(TEXTS, INPUTS, generator=random), torch.randint(0, 2, (TEXTS,), generator=random)
    )
    options = head_options("two-module", {"n_qubits": n_qubits, "encoders": encoders})
    return build_head("two-module", options, HeadContext(INPUTS, 2, generator=random)), data


def peer_steps(head: Head, peer: Head, data: Labelled, steps: int) -> list[float]:
    """Seconds of each step on the peer, after one that has to agree with ours."""
    ours, theirs = (gradients(each, data) for each in (head, peer))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-3)
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        gradients(peer, data)
        times.append(time.perf_counter() - started)
    return times


def gradients(head: Head, data: Labelled) -> list[Tensor]:
    """The loss of one batch and its gradients."""
    loss = nn.functional.cross_entropy(head(data.inputs[:BATCH]), data.labels[:BATCH])
    return [loss.detach(), *torch.autograd.grad(loss, list(head.parameters()))]


def table(record: dict[str, Any]) -> str:
    """The record in words."""
    sizes = (
        f"{record['texts']} texts, {record['epochs']} epochs, batch {record['batch']}, "
        f"{record['qubits']} qubits, {record['encoders']} encoders, {record['parameters']} parameters, "
        f"{record['threads']} threads"
    )
    lines = [
        sizes,
        f"our engine       {record['seconds']:8.1f} s   {1e3 * record['step_seconds']:8.2f} ms a step",
    ]
    if "lightning_seconds" in record:
        whole, step = record["lightning_seconds"], 1e3 * record["lightning_step_seconds"]
        lines.append(f"lightning.qubit  {whole:8.1f} s   {step:8.2f} ms a step   (median of a few)")
        lines.append(f"factor           {record['lightning_seconds'] / record['seconds']:8.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
