"""Cuts: the kernel as a matrix between two groups of its four indices, truncated by SVD."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from hybridqies.convolutions.base import Array, Carriers, KernelShape, Method, Ranks


class Cut(Method):
    """Two convolutions with r channels between them, the best of that kind in the kernel's norm.

    The second has the indices left of the bar and the first those right of it. Only cuts that separate
    O from I are such a chain. Parameters: r (left + right). Source: arXiv:2403.14379.
    """

    @classmethod
    @abstractmethod
    def _sides(cls, shape: KernelShape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of the second convolution, then of the first one."""

    def full_ranks(self, shape: KernelShape) -> Ranks:
        """The smaller side of the matrix."""
        return (min(self._lengths(shape)),)

    def count(self, shape: KernelShape, ranks: Ranks) -> int:
        """The rank times the sum of both sides."""
        return ranks[0] * sum(self._lengths(shape))

    def factor(self, kernel: Array, ranks: Ranks) -> list[Array]:
        """The leading singular vectors of both sides, each with the root of its singular value."""
        shape = KernelShape(*kernel.shape)
        (h2, w2), (h1, w1) = self._sides(shape)
        # Axes (o, h2, w2, i, h1, w1): one of h1 and h2 is 1, and so is one of w1 and w2.
        matrix = kernel.reshape(shape.o, shape.i, h2, h1, w2, w1).transpose(0, 2, 4, 1, 3, 5)
        matrix = matrix.reshape(self._lengths(shape))
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        rank = ranks[0]
        roots = np.sqrt(values[:rank])
        second = (left[:, :rank] * roots).reshape(shape.o, h2, w2, rank).transpose(0, 3, 1, 2)
        first = (roots[:, None] * right[:rank]).reshape(rank, shape.i, h1, w1)
        return [first, second]

    def _lengths(self, shape: KernelShape) -> tuple[int, int]:
        (h2, w2), (h1, w1) = self._sides(shape)
        return shape.o * h2 * w2, shape.i * h1 * w1


class OutHighCut(Cut):
    """1×W (I → r), then H×1 (r → O)."""

    name: ClassVar[str] = "oh|iw"
    carriers: ClassVar[Carriers] = Carriers(height=1, width=0)

    @classmethod
    def _sides(cls, shape: KernelShape) -> tuple[tuple[int, int], tuple[int, int]]:
        return (shape.h, 1), (1, shape.w)


class OutWideCut(Cut):
    """H×1 (I → r), then 1×W (r → O)."""

    name: ClassVar[str] = "ow|ih"
    carriers: ClassVar[Carriers] = Carriers(height=0, width=1)

    @classmethod
    def _sides(cls, shape: KernelShape) -> tuple[tuple[int, int], tuple[int, int]]:
        return (1, shape.w), (shape.h, 1)


class OutCut(Cut):
    """H×W (I → r), then 1×1 (r → O)."""

    name: ClassVar[str] = "o|ihw"
    carriers: ClassVar[Carriers] = Carriers(height=0, width=0)

    @classmethod
    def _sides(cls, shape: KernelShape) -> tuple[tuple[int, int], tuple[int, int]]:
        return (1, 1), (shape.h, shape.w)


class InCut(Cut):
    """1×1 (I → r), then H×W (r → O)."""

    name: ClassVar[str] = "ohw|i"
    carriers: ClassVar[Carriers] = Carriers(height=1, width=1)

    @classmethod
    def _sides(cls, shape: KernelShape) -> tuple[tuple[int, int], tuple[int, int]]:
        return (shape.h, shape.w), (1, 1)
