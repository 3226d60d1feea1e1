"""What a method of factorising a kernel is: ranks, a count of parameters, and factors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from hybridqies.errors import InputError, MissingExtraError

Array = npt.NDArray[np.float64]
Ranks = tuple[int, ...]


class KernelShape(NamedTuple):
    """Sizes of a kernel (O, I, H, W): channels out and in, height and width."""

    o: int
    i: int
    h: int
    w: int

    @property
    def size(self) -> int:
        """How many numbers the kernel has."""
        return math.prod(self)


@dataclass(frozen=True, slots=True)
class Carriers:
    """Which factor of the chain has the kernel's height and which its width.

    Stride, padding and dilation of each axis go with it. The other factors are 1 along that axis.
    """

    height: int
    width: int


class Method(ABC):
    """One way to write a kernel (O, I, H, W) as a chain of smaller convolutions.

    `factor` gives the weights of the chain, the first applied first, each with axes (out, in, height, width).
    """

    name: ClassVar[str]
    carriers: ClassVar[Carriers]

    @abstractmethod
    def full_ranks(self, shape: KernelShape) -> Ranks:
        """The ranks at which every kernel of this shape is reproduced."""

    @abstractmethod
    def count(self, shape: KernelShape, ranks: Ranks) -> int:
        """Parameters of the chain without the bias."""

    @abstractmethod
    def factor(self, kernel: Array, ranks: Ranks) -> list[Array]:
        """Factors of `kernel`, in the order in which they are applied."""

    def ranks_of_size(self, shape: KernelShape, size: int) -> Ranks:
        """The ranks of a chain of size 1 to the largest full rank; larger sizes have no smaller rank."""
        return tuple(min(size, full) for full in self.full_ranks(shape))

    def ranks_within(self, shape: KernelShape, budget: float) -> Ranks:
        """The largest ranks whose chain has at most `budget` parameters.

        Raises
        ------
        InputError: the smallest chain has more.
        """
        least, most = 0, max(self.full_ranks(shape))
        while least < most:
            middle = (least + most + 1) // 2
            if self.count(shape, self.ranks_of_size(shape, middle)) <= budget:
                least = middle
            else:
                most = middle - 1
        if least == 0:
            smallest = self.count(shape, self.ranks_of_size(shape, 1))
            share = math.ceil(1000 * smallest / shape.size) / 1000
            raise InputError(
                f"a kernel of {tuple(shape)} was to have {budget:.0f} parameters",
                expected=f"at least {smallest}, the fewest of {self.name!r}",
                todo=f"keep at least {share:g} or leave the layer out",
            )
        return self.ranks_of_size(shape, least)

    def check_ranks(self, shape: KernelShape, ranks: Ranks) -> None:
        """Refuses ranks that this method does not have for a kernel of this shape.

        Raises
        ------
        InputError: a wrong number of ranks, or one that is below 1 or above the full one.
        """
        full = self.full_ranks(shape)
        if len(ranks) != len(full) or not all(
            1 <= rank <= most for rank, most in zip(ranks, full, strict=True)
        ):
            raise InputError(
                f"{self.name!r} was given ranks {ranks} for a kernel of {tuple(shape)}",
                expected=f"{len(full)} of at least 1 and at most {', '.join(map(str, full))}",
            )


@contextmanager
def decompositions() -> Iterator[Any]:
    """Decompositions of tensorly on NumPy arrays, whatever backend the caller has chosen in tensorly.

    Raises
    ------
    MissingExtraError: tensorly is not installed.
    """
    try:
        import tensorly
        import tensorly.decomposition
    except ImportError:
        raise MissingExtraError("factorising a convolution by this method", "convolutions") from None
    with tensorly.backend_context("numpy", local_threadsafe=True):
        yield tensorly.decomposition
