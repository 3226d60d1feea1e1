"""Multitask sparse parity: which task, n bits, and as label the parity of k of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.options import within
from hybridqies.training import Batch

Words = NDArray[np.uint64]

# Splitmix64 (Steele et al. 2014): each row is a hash of its number, so that rows need no memory.
_STEP, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 64


@dataclass(frozen=True, slots=True)
class ParityProblem:
    """Tasks k = 1 … `n_tasks` with frequencies ∝ k^−(`alpha` + 1), each with `n_relevant` bits of its own.

    `seed` draws which of the `n_bits` each task looks at; no two tasks look at the same ones.
    Source: Michaud et al. 2023 (arXiv:2303.13506).
    """

    n_tasks: int = 50
    n_bits: int = 24
    n_relevant: int = 3
    alpha: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        within(self, "parity option", n_tasks=(1, 1e6), n_bits=(1, 1e5), n_relevant=(1, 1e5))
        within(self, "parity option", alpha=(0, 100), seed=(0, 2**32 - 1))
        # Half of all choices at most, so that drawing different ones ends.
        if 2 * self.n_tasks > math.comb(self.n_bits, self.n_relevant):
            raise InputError(
                f"{self.n_tasks} tasks were to look at {self.n_relevant} of {self.n_bits} bits each",
                expected=f"at most {math.comb(self.n_bits, self.n_relevant) // 2} tasks",
                todo="give more bits",
            )

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The share (n_tasks,) of each task, from the most frequent on."""
        weights = np.arange(1, self.n_tasks + 1, dtype=np.float64) ** -(self.alpha + 1)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def relevant(self) -> Tensor:
        """Which bits each task looks at, (n_tasks, n_relevant)."""
        random = np.random.default_rng([self.seed, 1])
        chosen: dict[tuple[int, ...], None] = {}
        while len(chosen) < self.n_tasks:
            bits = random.permutation(self.n_bits)[: self.n_relevant]
            chosen[tuple(sorted(bits.tolist()))] = None
        return torch.tensor(list(chosen), dtype=torch.int64)


@dataclass(frozen=True)
class ParityRows:
    """`count` rows of a problem, made when they are asked for; the same numbers always give the same rows.

    Inputs are {"task": (B,), "bits": (B, n_bits)}. With `balanced`, tasks follow each other in turn.
    With `different`, row n is row n − `different`: so many rows come again and again.
    """

    problem: ParityProblem
    count: int
    seed: int = 0
    balanced: bool = False
    different: int | None = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Tensor | slice, /) -> Batch:
        if isinstance(rows, slice):
            numbers = np.arange(self.count)[rows]
        else:
            numbers = rows.cpu().numpy()
        if self.different is not None:
            numbers = numbers % self.different
        task = torch.from_numpy(self._tasks(numbers))
        bits = torch.from_numpy(self._bits(numbers))
        labels = bits.gather(1, self._relevant[task]).sum(1) % 2
        return Batch({"task": task, "bits": bits.to(torch.get_default_dtype())}, labels)

    @property
    def fingerprint(self) -> str:
        """Everything that decides the rows."""
        return repr((self.problem, self.count, self.seed, self.balanced, self.different))

    @cached_property
    def _relevant(self) -> Tensor:
        return self.problem.relevant()

    @cached_property
    def _thresholds(self) -> NDArray[np.float64]:
        return np.cumsum(self.problem.frequencies)[:-1]

    def _tasks(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.balanced:
            return numbers % self.problem.n_tasks
        uniform = (self._hash(numbers, 0) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return np.searchsorted(self._thresholds, uniform, side="right").astype(np.int64)

    def _bits(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        n_words = -(-self.problem.n_bits // _WORD)
        places = np.arange(_WORD, dtype=np.uint64)
        words = [(self._hash(numbers, 1 + word)[:, None] >> places) & np.uint64(1) for word in range(n_words)]
        return np.concatenate(words, axis=1)[:, : self.problem.n_bits].astype(np.int64)

    def _hash(self, numbers: NDArray[np.int64], stream: int) -> Words:
        start = np.random.SeedSequence([self.problem.seed, self.seed, stream]).generate_state(1, np.uint64)
        return _mix(numbers.astype(np.uint64) * np.uint64(_STEP) + start)


def _mix(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_MIX_1)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_MIX_2)
    return words ^ (words >> np.uint64(31))
