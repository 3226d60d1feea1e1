"""Kernels compiled before anything needs them: for the card by NVRTC, for the CPU in several processes."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import product
from multiprocessing import get_context
from os import cpu_count
from typing import NamedTuple

import torch

from gpu_parts.cells import Row, Run
from hybridqies import load_circuit
from hybridqies.engine import compile_kernels

# The CPU engine has kernels for real and complex circuits, for states that a cache holds and larger ones, and
# for each width of a batch.
CIRCUITS, QUBITS, BATCHES = (
    ("rot-ring", "long-range-reupload"),
    (4, 15),
    {"float32": (1, 8, 9), "float64": (1, 8)},
)
WORKERS = min(12, cpu_count() or 1)
EXPECTED = {
    "kernels": [
        ("kinds of CPU kernels, 20 s each, 12 at a time", 20, 20 / 12),
        ("variants by NVRTC, 4.5 s each, beside them", 12, 4.5 / 4),
    ]
}


class Kind(NamedTuple):
    """What the CPU engine compiles kernels of its own for."""

    circuit: str
    n_qubits: int
    batch: int
    dtype: str

    def compile(self) -> Row:
        """Compiles them, unless they are on disk."""
        circuit = load_circuit(self.circuit, self.n_qubits)
        seconds = compile_kernels(circuit, [self.batch], dtype=getattr(torch, self.dtype))
        return {"kernels": " ".join(map(str, ("CPU", *self))), "s": seconds}


def compile_all(run: Run) -> list[Row]:
    """Compiles the card's kernels and the CPU's, side by side; later parts find both on disk."""
    kinds = [
        Kind(name, n_qubits, batch, dtype)
        for name, n_qubits, (dtype, batches) in product(CIRCUITS, QUBITS, BATCHES.items())
        for batch in batches
    ]
    with ThreadPoolExecutor() as threads, ProcessPoolExecutor(WORKERS, get_context("spawn")) as processes:
        waiting = [processes.submit(kind.compile) for kind in kinds]
        if run.device.type == "cuda":
            waiting = submit_variants(run.device, threads) + waiting
        return [each.result() for each in waiting]


def submit_variants(device: torch.device, threads: Executor) -> list[Future[Row]]:
    """Has every variant of the card's kernels compiled; NVRTC leaves Python's lock to others."""
    from hybridqies.engine.cuda.card import Card, Variant
    from hybridqies.engine.cuda.compiler import find_machine_code

    card = Card.open(device)
    capability, driver = card.driver.capability(card.number), card.driver.version()

    def make(variant: Variant) -> Row:
        began = time.perf_counter()
        code = find_machine_code(card.compiler, variant.definitions(), capability, driver)
        row = {"kernels": " ".join(variant.definitions()), "bytes": len(code)}
        return row | {"s": time.perf_counter() - began}

    variants = [Variant(*each) for each in product((False, True), (1, 2), (1, 2, 3))]
    return [threads.submit(make, variant) for variant in variants]
