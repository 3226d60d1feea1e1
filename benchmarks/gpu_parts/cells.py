"""Circuits with their inputs and the CPU engine's answer: nothing is timed before it was compared with it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from peers.bench import Found, largest_difference, workload_of
from peers.workload import Workload
from torch import Tensor

from gpu_parts.answers import Answers
from hybridqies import load_circuit
from hybridqies.circuit import Circuit
from hybridqies.engine import Plan, compile_plan, expectations

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
# Seconds that one figure is measured for, and steps at most.
SECONDS, REPEATS = 0.4, 50
Row = dict[str, Any]
Result = tuple[Tensor, ...]
Item = TypeVar("Item")


@dataclass(eq=False)
class Cell:
    """One circuit and one size of a batch."""

    circuit: Circuit
    batch: int
    answers: Answers = field(default_factory=Answers)

    @cached_property
    def plan(self) -> Plan:
        """The circuit's plan."""
        return compile_plan(self.circuit)

    @cached_property
    def work(self) -> Workload:
        """Its inputs, which follow from the number of qubits alone."""
        return workload_of(self.circuit, self.batch)

    @cached_property
    def expected(self) -> Found:
        """Values and both gradients by the CPU engine, in double."""
        return self.answers.of(self.work, lambda: as_numbers(self.step_on("cpu", torch.float64)()))

    def step_on(self, device: torch.device | str, dtype: torch.dtype) -> Callable[[], Result]:
        """A step on inputs that are there: values, and the gradients of features and weights."""
        features, weights, cotangent = (
            torch.tensor(each, dtype=dtype, device=device)
            for each in (self.work.features, self.work.weights, self.work.cotangent)
        )
        inputs = [features.requires_grad_(), weights.requires_grad_()]

        def step() -> Result:
            values = expectations(self.plan, features, weights)
            return values.detach(), *torch.autograd.grad((values * cotangent).sum(), inputs)

        return step

    def with_batch(self, batch: int) -> Cell:
        """Another size of a batch, with the same plan."""
        other = Cell(self.circuit, batch, self.answers)
        other.plan = self.plan
        return other

    def check(self, device: torch.device) -> Row:
        """How far each precision is from the CPU's double, and whether that is too far."""
        return compare(
            {
                dtype: (largest_difference(as_numbers(self.step_on(device, dtype)()), self.expected), allowed)
                for dtype, allowed in TOLERANCES.items()
            }
        )


def compare(found: dict[torch.dtype, tuple[float, float]]) -> Row:
    """A row of differences; `failed` where one is larger than allowed, or no number."""
    row: Row = {f"{str(dtype).removeprefix('torch.')} differs": apart for dtype, (apart, _) in found.items()}
    return row | {"failed": not all(apart <= allowed for apart, allowed in found.values())}


def as_numbers(result: Result) -> Any:
    """The same as arrays of doubles."""
    return tuple(np.asarray(each.detach().cpu(), dtype=np.float64) for each in result)


@dataclass(eq=False)
class Run:
    """A device, the time until which parts may go on, and cells, whose answers are computed once."""

    device: torch.device
    deadline: float
    answers: Answers = field(default_factory=Answers)
    _cells: dict[tuple[str, int, int], Cell] = field(default_factory=dict)

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.perf_counter()

    def cell(self, name: str, n_qubits: int, batch: int) -> Cell:
        """The cell of a circuit by name."""
        key = (name, n_qubits, batch)
        if key not in self._cells:
            self._cells[key] = Cell(load_circuit(name, n_qubits), batch, self.answers)
        return self._cells[key]

    def in_time(self, items: Iterable[Item], rows: list[Row]) -> Iterator[Item]:
        """Those items whose turn comes before the deadline; a row says how many were left out."""
        waiting = list(items)
        while waiting:
            if self.left() <= 0:
                rows.append({"left out": f"{len(waiting)} more: the time of --limit is over"})
                return
            yield waiting.pop(0)


def wait(device: torch.device) -> None:
    """Until the card has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, step: Callable[[], Any]) -> float:
    """The median of the seconds that a step takes, after two that are not counted."""
    step(), step()
    wait(device)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 3 or (len(times) < REPEATS and time.perf_counter() - began < SECONDS):
        started = time.perf_counter()
        step()
        wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_text(row.get(name)) for name in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value).replace("|", "/")
