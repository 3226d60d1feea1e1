"""MPS: the kernel as a matrix product state (tensor train)."""

from __future__ import annotations

from typing import ClassVar

from hybridqies.convolutions.base import Array, Carriers, KernelShape, Method, Ranks, decompositions


class MPS(Method):
    """Sites I, H, W, O: 1×1 (I → χ₁), H×1 (χ₁ → χ₂), 1×W (χ₂ → χ₃), 1×1 (χ₃ → O), by TT-SVD.

    Parameters: I χ₁ + χ₁ H χ₂ + χ₂ W χ₃ + χ₃ O. Source: arXiv:2403.14379.
    """

    name: ClassVar[str] = "mps"
    carriers: ClassVar[Carriers] = Carriers(height=1, width=2)

    def full_ranks(self, shape: KernelShape) -> Ranks:
        """At each bond the smaller side of the kernel's cut there."""
        o, i, h, w = shape
        return min(i, h * w * o), min(i * h, w * o), min(i * h * w, o)

    def count(self, shape: KernelShape, ranks: Ranks) -> int:
        """I χ₁ + χ₁ H χ₂ + χ₂ W χ₃ + χ₃ O."""
        first, second, third = ranks
        return shape.i * first + first * shape.h * second + second * shape.w * third + third * shape.o

    def factor(self, kernel: Array, ranks: Ranks) -> list[Array]:
        """The four sites, as a chain."""
        with decompositions() as decomposition:
            train = decomposition.tensor_train(kernel.transpose(1, 2, 3, 0), rank=[1, *ranks, 1])
        into, high, wide, out = (train[at] for at in range(4))
        return [
            into[0].T[:, :, None, None],
            high.transpose(2, 0, 1)[:, :, :, None],
            wide.transpose(2, 0, 1)[:, :, None, :],
            out[:, :, 0].T[:, :, None, None],
        ]
