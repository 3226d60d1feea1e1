"""Linear layers and norms of real and of complex streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ComplexLinear(nn.Module):
    """A complex matrix A + iB on the stream [Re, Im], as one real product with [[A, −B], [B, A]].

    From (..., n_in) to (..., n_out) real values; it has half the parameters of a real layer of that shape.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.in_features = n_in
        self.real = nn.Parameter(torch.empty(n_out // 2, n_in // 2))
        self.imaginary = nn.Parameter(torch.empty(n_out // 2, n_in // 2))

    def forward(self, values: Tensor) -> Tensor:
        """The product with every vector of the last axis."""
        upper = torch.cat([self.real, -self.imaginary], 1)
        lower = torch.cat([self.imaginary, self.real], 1)
        return functional.linear(values, torch.cat([upper, lower]))


class Norm(nn.Module):
    """Root-mean-square norm of the last axis; a complex value has one scale for both of its parts."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.scale = nn.Parameter(torch.ones(width // parts))

    def forward(self, values: Tensor) -> Tensor:
        """The same shape."""
        scale = self.scale if self.parts == 1 else self.scale.repeat(self.parts)
        return functional.rms_norm(values, scale.shape, scale, 1e-6)


def make_linear(n_in: int, n_out: int, parts: int) -> nn.Module:
    """A layer without bias on a stream of that kind; its weights are drawn later."""
    return ComplexLinear(n_in, n_out) if parts == 2 else nn.Linear(n_in, n_out, bias=False)
