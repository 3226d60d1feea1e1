"""PennyLane code on our device, beside the same code on lightning.qubit and default.qubit.

    python benchmarks/pennylane_device.py
    python benchmarks/pennylane_device.py --qubits 4 8 12

A step is one call of a QNode through torch with a batch, and its backward pass: expectations and the
gradients for features and weights, with all that PennyLane does around the device. Only the device's name
differs. The last row is the same step without PennyLane, for what PennyLane's own part costs. Values and
gradients of every row are held to those of default.qubit first.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import torch
from peers import default_qubit, lightning
from peers.bench import workload
from peers.qnode import circuit_of
from peers.torch_step import torch_step
from peers.workload import Result, Workload

from hybridqies.backends import load_backend
from hybridqies.circuit import Circuit

NAME = "hybridqies.statevector"


def main() -> None:
    """Compares, times and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--circuit", default="rot-ring")
    parser.add_argument("--qubits", type=int, nargs="+", default=[8])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0, help="of steps, of all devices in turn")
    given = parser.parse_args()
    threads = torch.get_num_threads()
    print(f"{given.circuit}, batch {given.batch}, {threads} threads, PennyLane {qml.__version__}")
    for n_qubits in given.qubits:
        _compare(workload(given.circuit, n_qubits, given.batch, "float64"), given.seconds)


def _compare(work: Workload, seconds: float) -> None:
    steps: dict[str, Callable[[], Result]] = {
        "default.qubit": default_qubit.prepare(work).step,
        "lightning.qubit": lightning.prepare(work).step,
        NAME: _through_pennylane(work),
        "without PennyLane": _alone(work),
    }
    expected = steps["default.qubit"]()
    for step in steps.values():
        for ours, theirs in zip(step(), expected, strict=True):
            # lightning.qubit itself is within some 1e-8 of the others.
            np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=1e-6)
    medians = _medians(steps, seconds)
    for name, median in medians.items():
        ratio = median / medians[NAME]
        print(f"n = {work.n_qubits:2}  {name:24} {1e3 * median:9.2f} ms  {ratio:7.2f} times ours")


def _through_pennylane(work: Workload) -> Callable[[], Result]:
    device = qml.device(NAME, wires=work.n_qubits)
    return torch_step(qml.QNode(circuit_of(work), device, interface="torch", diff_method="adjoint"), work)


def _alone(work: Workload) -> Callable[[], Result]:
    circuit, backend = Circuit.from_mapping(work.circuit), load_backend("statevector")

    def node(features: Any, weights: Any) -> Any:
        return backend.expectations(circuit, features, weights).unbind(dim=1)

    return torch_step(node, work)


def _medians(steps: dict[str, Callable[[], Result]], seconds: float) -> dict[str, float]:
    """Seconds of a step; devices take turns, so that what else the machine does meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times[NAME]) < 5:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}


if __name__ == "__main__":
    main()
