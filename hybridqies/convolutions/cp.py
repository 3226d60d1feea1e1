"""CP: a sum of products of four vectors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hybridqies.convolutions.base import Array, Carriers, KernelShape, Method, Ranks, decompositions

SWEEPS = 100


def start_vectors(kernel: Array, rank: int) -> list[Array]:
    """For each axis its leading singular vectors, and Gaussian ones where the axis has fewer than `rank`.

    The Gaussian ones are the same in every call.
    """
    draw = np.random.default_rng(0)
    starts = []
    for axis, size in enumerate(kernel.shape):
        unfolded = np.moveaxis(kernel, axis, 0).reshape(size, -1)
        vectors = np.linalg.svd(unfolded, full_matrices=False)[0][:, :rank]
        starts.append(np.hstack([vectors, draw.standard_normal((size, rank - vectors.shape[1]))]))
    return starts


class CP(Method):
    """1×1 (I → r), then H×1 and 1×W on each of the r channels alone, then 1×1 (r → O).

    Parameters: r (O + I + H + W). By alternating least squares from a fixed start, so the fit may be
    a local optimum. Source: Lebedev et al., arXiv:1412.6553.
    """

    name: ClassVar[str] = "cp"
    carriers: ClassVar[Carriers] = Carriers(height=1, width=2)

    def full_ranks(self, shape: KernelShape) -> Ranks:
        """The product of the three smaller sizes: that many vectors span every kernel."""
        return (shape.size // max(shape),)

    def count(self, shape: KernelShape, ranks: Ranks) -> int:
        """The rank times O + I + H + W."""
        return ranks[0] * sum(shape)

    def factor(self, kernel: Array, ranks: Ranks) -> list[Array]:
        """The four matrices of vectors, as a chain."""
        # The axis that is solved last is the longest one: its least squares are the best determined.
        order = sorted(range(4), key=lambda axis: kernel.shape[axis])
        sorted_kernel = kernel.transpose(order)
        start = (None, start_vectors(sorted_kernel, ranks[0]))
        with decompositions() as decomposition:
            _, factors = decomposition.parafac(sorted_kernel, rank=ranks[0], n_iter_max=SWEEPS, init=start)
        out, into, high, wide = (factors[order.index(axis)] for axis in range(4))
        return [
            into.T[:, :, None, None],
            high.T[:, None, :, None],
            wide.T[:, None, None, :],
            out[:, :, None, None],
        ]
