"""Linear layers and the norm of real and of complex streams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALLEST = 1e-6


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


class _RootMeanSquare(torch.autograd.Function):
    """Values divided by their root mean square, with half the passes of torch's derivative on a CPU."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor) -> tuple[Tensor, Tensor]:
        squares = torch.linalg.vector_norm(values, dim=-1, keepdim=True).square()
        inverse = torch.rsqrt(squares / values.shape[-1] + _SMALLEST)
        return values * inverse, inverse

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:  # noqa: ARG004
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        normed, inverse = ctx.saved_tensors
        along = (gradients[0] * normed).mean(-1, keepdim=True)
        return torch.addcmul(gradients[0], normed, along, value=-1).mul_(inverse)


def normalise(values: Tensor) -> Tensor:
    """The root-mean-square norm of the last axis, without a scale: the matrix that follows has one.

    A complex value is divided by a real number, so that its phase stays.
    """
    normed: Tensor = _RootMeanSquare.apply(values)[0]  # type: ignore[no-untyped-call]
    return normed


def make_linear(n_in: int, n_out: int, parts: int) -> nn.Module:
    """A layer without bias on a stream of that kind; its weights are drawn later."""
    return ComplexLinear(n_in, n_out) if parts == 2 else nn.Linear(n_in, n_out, bias=False)
