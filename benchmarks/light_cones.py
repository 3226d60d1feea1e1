"""Time of a training step of a wide circuit by light cones, beside one circuit of the widest cone's size.

python benchmarks/light_cones.py [--qubits 128] [--batch 32] [--steps 20] [--layers 2 4]

One thread, float32, a forward and a backward pass of `data-reuploading`, in processor time. Both circuits
take turns in one process, and the fastest step of each counts. Exits with 1 if an expectation differs
from that of the small circuit by more than single precision allows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import torch

from hybridqies import load_circuit
from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import Circuit

CIRCUIT = "data-reuploading"
# float32, and angles of a few radians.
TOLERANCE = 1e-5


def main() -> int:
    """Prints a line for each number of layers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qubits", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4])
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("layers | run as | ms a sample | one small circuit | ratio | operations a sample | error")
    return max(_compare(given.qubits, layers, given.batch, given.steps) for layers in given.layers)


def _compare(n_qubits: int, layers: int, batch: int, steps: int) -> int:
    """Measures one depth; 1 if the values are wrong."""
    backend, span = StateVector(), 2 * layers + 1
    wide, small = load_circuit(CIRCUIT, n_qubits, layers=layers), load_circuit(CIRCUIT, span, layers=layers)
    features, weights = torch.rand(batch, wide.n_features), torch.rand(wide.n_weights)
    first = (n_qubits - span) // 2
    qubits = range(first, first + span)
    uploads = range(3 * (layers + 1))
    columns = [place * n_qubits + qubit for place in uploads for qubit in qubits]
    rows = [
        upload * 3 * n_qubits + 3 * qubit + angle
        for upload in range(layers + 1)
        for qubit in qubits
        for angle in range(3)
    ]
    of_wide = _step(backend, wide, features, weights)
    of_small = _step(backend, small, features[:, columns], weights[rows])
    error = float((of_wide()[:, first + layers] - of_small()[:, layers]).abs().max())
    turns = [(_time(of_wide), _time(of_small)) for _ in range(steps)]
    times = [min(taken) for taken in zip(*turns, strict=True)]
    cost = backend.exact_cost(wide)
    assert cost is not None
    print(
        f"{layers} | {cost} | {1e3 * times[0] / batch:.2f} | {1e3 * times[1] / batch:.4f} | "
        f"{times[0] / times[1]:.0f} | {cost.operations:,} | {error:.1e}",
        flush=True,
    )
    return int(error > TOLERANCE)


def _step(
    backend: StateVector, circuit: Circuit, features: torch.Tensor, weights: torch.Tensor
) -> Callable[[], torch.Tensor]:
    """A forward and a backward pass; it returns the expectations."""
    inputs = [each.clone().requires_grad_() for each in (features, weights)]

    def run() -> torch.Tensor:
        values = backend.expectations(circuit, *inputs)
        torch.autograd.grad(values.sum(), inputs)
        return values.detach()

    return run


def _time(run: Callable[[], torch.Tensor]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
