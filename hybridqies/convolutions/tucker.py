"""Tucker-2: smaller channels in and out, and the kernel between them."""

from __future__ import annotations

from typing import ClassVar

from hybridqies.convolutions.base import Array, Carriers, KernelShape, Method, Ranks, decompositions


class Tucker(Method):
    """1×1 (I → b), H×W (b → a), 1×1 (a → O) for ranks (a, b); by higher-order orthogonal iteration.

    Parameters: I b + a b H W + a O. Source: Kim et al., arXiv:1511.06530.
    """

    name: ClassVar[str] = "tucker"
    carriers: ClassVar[Carriers] = Carriers(height=1, width=1)

    def full_ranks(self, shape: KernelShape) -> Ranks:
        """The channels out and in, or fewer where the kernel's unfoldings have a smaller rank."""
        o, i, h, w = shape
        return min(o, i * h * w), min(i, o * h * w)

    def ranks_of_size(self, shape: KernelShape, size: int) -> Ranks:
        """Both ranks in the proportion of the full ones."""
        full = self.full_ranks(shape)
        return tuple(-(-size * rank // max(full)) for rank in full)

    def count(self, shape: KernelShape, ranks: Ranks) -> int:
        """I b + a b H W + a O."""
        a, b = ranks
        return shape.i * b + a * b * shape.h * shape.w + a * shape.o

    def factor(self, kernel: Array, ranks: Ranks) -> list[Array]:
        """Orthogonal factors of both channels and the core between them."""
        with decompositions() as decomposition:
            (core, (out, into)), _ = decomposition.partial_tucker(kernel, rank=list(ranks), modes=[0, 1])
        return [into.T[:, :, None, None], core, out[:, :, None, None]]
