"""What a training cost: seconds, memory, operations of its circuits, and the energy that was measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hybridqies.backends import QuantumLayer
from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import Circuit
from hybridqies.energy import count_work
from hybridqies.energy.meters import Consumption, find_meters
from hybridqies.errors import CapabilityError
from hybridqies.heads import Head
from hybridqies.records import read_record, write_record

# Seconds. The smallest counters of processors hold about 65 kJ, which one of 1 kW uses in a minute.
_READ_EVERY = 10.0
COST = "cost.json"
"""What the last start of a training cost; apart from its result, which repeats bit for bit."""


class CostMeter:
    """Measures from when it is made until `write`.

    `step` is called after each step, `sample` after each epoch.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._epochs = device, 0
        meters, self._lacking = find_meters(gpus=device.type == "cuda")
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._used = Consumption(meters)
        self._read_at = time.monotonic()

    def step(self, _done: int, _total: int) -> None:
        """A step is over. Small counters begin again within minutes, and an epoch may take longer."""
        if time.monotonic() - self._read_at >= _READ_EVERY:
            self._read_at = time.monotonic()
            self._used.sample()

    def sample(self) -> None:
        """An epoch is over."""
        self._epochs += 1
        self._used.sample()

    def write(self, folder: Path, head: Head, result: Mapping[str, Any], shots: int | None) -> None:
        """Writes `cost.json` beside the result of the training of the head."""
        self._used.sample()
        counted = {
            role: _describe(circuit, _count_copies(head, circuit))
            for role, circuit in head.circuits().items()
        }
        operations = [each["operations_per_sample"] for each in counted.values()]
        record = {
            "seconds": result["seconds"],
            "n_parameters": result["n_parameters"],
            "epochs": result["epochs"],
            "epochs_measured": self._epochs,
            "peak_memory_bytes": _peak_memory(),
            "peak_gpu_memory_bytes": self._peak_gpu_memory(),
            "circuits": counted,
            "shots": shots,
            "circuit_operations": None
            if None in operations
            else sum(operations) * result["n_train"] * result["epochs"],
            "joules": self._used.joules,
            "not_measured": self._lacking,
        }
        write_record(folder / COST, record)

    def _peak_gpu_memory(self) -> int | None:
        return torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None


def read_cost(folder: Path) -> dict[str, Any]:
    """The checked `cost.json` of an arm.

    Raises
    ------
    ModelFolderError: it is missing, damaged or altered.
    """
    return read_record(folder / COST, needed={"seconds": float, "joules": dict}, what="record of cost")


def energy_in_words(folder: Path) -> str:
    """The energy of an arm that was trained in this folder, or why nobody knows.

    Raises
    ------
    ModelFolderError: its record is damaged or altered.
    """
    if not (folder / COST).is_file():
        return "not measured"
    cost = read_cost(folder)
    if not cost["joules"]:
        return f"not measured ({cost['not_measured'] or 'the counters failed'})"
    parts = ", ".join(f"{name} {joules:,.0f} J" for name, joules in cost["joules"].items())
    of_all = cost["epochs_measured"] in (0, cost["epochs"])
    return parts if of_all else f"{parts}, of {cost['epochs_measured']} of {cost['epochs']} epochs"


def _count_copies(head: Head, circuit: Circuit) -> int:
    """How many of the circuit the head runs side by side for a text."""
    layers = [each for each in head.modules() if isinstance(each, QuantumLayer)]
    return sum(each.copies or 1 for each in layers if each.circuit is circuit) or 1


def _describe(circuit: Circuit, copies: int) -> dict[str, Any]:
    work = count_work(circuit)
    try:
        exact = StateVector().exact_cost(circuit)
    except CapabilityError:
        exact = None
    return {
        "circuit": circuit.name,
        "copies": copies,
        "n_qubits": work.n_qubits,
        "n_weights": work.n_weights,
        "depth": work.depth,
        "two_qubit_gates": work.two_qubit_gates,
        "operations_per_sample": None if exact is None else copies * exact.operations,
    }


def _peak_memory() -> int | None:
    """The most memory that this process has had at once, in bytes; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
