"""Multitask sparse parity: a one-hot task and bits, and whether the bits that the task looks at are odd."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.options import within
from hybridqies.parity import ParityProblem, ParityRows
from hybridqies.tasks.made import MadeData, MadeTask, check_size
from hybridqies.tasks.specs import DataOptions
from hybridqies.text import Examples
from hybridqies.training.metrics import FloatArray

_LABELS = ("even", "odd")


@dataclass(frozen=True, slots=True)
class ParityOptions:
    """A `ParityProblem` with as many rows; `seed` draws the bits that tasks look at, and the rows.

    All rows are different: one that is drawn again is left out.
    """

    n_tasks: int = 5
    n_bits: int = 12
    n_relevant: int = 3
    alpha: float = 0.4
    n_rows: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        within(self, "option of sparse-parity:", n_rows=(10, 1e6))
        _ = self.parity
        check_size(self.n_rows, self.n_tasks + self.n_bits)
        # At least every second draw is then new, whatever its task.
        if 2 * self.n_rows > 2**self.n_bits:
            raise InputError(
                f"{self.n_rows} different rows of {self.n_bits} bits were asked for",
                expected=f"at most {2**self.n_bits // 2:,}, which is half of all choices of bits",
                todo="give more n_bits or fewer n_rows",
            )

    @property
    def parity(self) -> ParityProblem:
        """Tasks, bits and frequencies."""
        return ParityProblem(self.n_tasks, self.n_bits, self.n_relevant, self.alpha, self.seed)


class ParityData(MadeData):
    """Rows (N, n_tasks + n_bits) of zeros and ones, with the labels "even" and "odd"."""

    problem: ParityOptions

    @cached_property
    def frequencies(self) -> list[float]:
        """The share of each task among all draws."""
        found: list[float] = self.problem.parity.frequencies.tolist()
        return found

    def details(self, part: Examples, probabilities: FloatArray) -> dict[str, Any]:
        """As "quanta" the frequency of each task, its test rows, their accuracy, and their loss in bits."""
        tasks = self.features[self.places(part), : self.problem.n_tasks].argmax(1).numpy()
        labels = self.label_indices(part.labels).cpu().numpy()
        right = probabilities.argmax(axis=1) == labels
        bits = -np.log2(np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(np.float32).tiny))
        quanta = []
        for task, frequency in enumerate(self.frequencies):
            mine = tasks == task
            seen = bool(mine.any())
            quanta.append(
                {
                    "task": task + 1,
                    "frequency": frequency,
                    "n": int(mine.sum()),
                    "accuracy": float(right[mine].mean()) if seen else None,
                    "bits": float(bits[mine].mean(dtype=np.float64)) if seen else None,
                }
            )
        return {"quanta": quanta}


class SparseParity(MadeTask):
    """The parity of those bits that a task looks at; accuracy, macro-F1, and the loss of every quantum."""

    name: ClassVar[str] = "sparse-parity"
    default_data: ClassVar[str] = "sparse-parity"
    Problem: ClassVar[type] = ParityOptions

    def make(self, problem: ParityOptions, options: DataOptions, device: str) -> ParityData:
        """Different rows, in the order in which they are drawn."""
        task, bits, labels, entries = draw_rows(problem)
        features = torch.cat([torch.nn.functional.one_hot(task, problem.n_tasks), bits], 1).float()
        named = [_LABELS[label] for label in labels.tolist()]
        return ParityData(problem, features, named, entries, options, device)


def draw_rows(problem: ParityOptions) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Tasks (N,), bits (N, n_bits), labels (N,) and names of different rows."""
    drawn = 2 * problem.n_rows
    while True:
        batch = ParityRows(problem.parity, drawn, problem.seed)[:]
        task, bits = batch.inputs["task"], batch.inputs["bits"].long()
        first: dict[str, int] = {}
        for at, (number, row) in enumerate(zip(task.tolist(), bits.tolist(), strict=True)):
            first.setdefault(f"task {number + 1}: {''.join(map(str, row))}", at)
        if len(first) >= problem.n_rows:
            chosen = list(first.values())[: problem.n_rows]
            return task[chosen], bits[chosen], batch.labels[chosen], list(first)[: problem.n_rows]
        drawn *= 2
