"""Exact tensor networks of 128 qubits, forward and backward, beside light cones where there are any.

    python benchmarks/tensor_exact.py

Processor seconds of one sample in a batch of 8, on one thread, the fastest of some runs.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch

from hybridqies.backends import Backend, load_backend
from hybridqies.circuit import Circuit, load_circuit

CIRCUITS: dict[str, tuple[str, dict[str, Any]]] = {
    "chain, 2 layers": ("data-reuploading", {"layers": 2}),
    "chain, 4 layers": ("data-reuploading", {"layers": 4}),
    "ring, 1 upload": ("long-range-reupload", {"connectivity": 1, "reuploads": 1, "pqc2": False}),
    "ring, 2 uploads": ("long-range-reupload", {"connectivity": 1, "reuploads": 2, "pqc2": False}),
}


def main() -> None:
    """Times and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--qubits", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name, (recipe, options) in CIRCUITS.items():
        circuit = load_circuit(recipe, given.qubits, **options)
        row: dict[str, Any] = {"circuit": name, "tensor:exact": None, "statevector": None}
        values = []
        for backend in ("tensor:exact", "statevector"):
            if backend == "tensor:exact" or name.startswith("chain"):
                seconds, found = measure(load_backend(backend), circuit, given.batch, given.times)
                row[backend] = round(seconds, 4)
                values.append(found)
        row["difference"] = float((values[0] - values[-1]).abs().max())
        print(json.dumps(row), flush=True)


def measure(backend: Backend, circuit: Circuit, batch: int, times: int) -> tuple[float, torch.Tensor]:
    """Processor seconds of a sample, and the gradient of the weights."""
    random = torch.Generator().manual_seed(0)
    features = torch.rand(batch, circuit.n_features, generator=random, dtype=torch.float64)
    weights = torch.rand(circuit.n_weights, generator=random, dtype=torch.float64).requires_grad_()
    fastest, gradient = float("inf"), weights
    # The first run compiles.
    for _ in range(times + 1):
        start = time.process_time()
        values = backend.expectations(circuit, features, weights)
        (gradient,) = torch.autograd.grad(values.sum(), weights)
        fastest = min(fastest, time.process_time() - start)
    return fastest / batch, gradient


if __name__ == "__main__":
    main()
