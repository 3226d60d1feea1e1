"""The layer that replaces `nn.Linear`: cores instead of a weight, and back to a plain layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridqies.errors import InputError
from hybridqies.roles import Role
from hybridqies.tensornet import MPO

Forward = Literal["factorised", "rebuilt"]
FORWARDS: tuple[Forward, ...] = ("factorised", "rebuilt")


class CompressedLinear(nn.Module):
    """y = M x + b, (..., in) → (..., out), with the matrix M as the cores of an MPO.

    `forward_by` "factorised" multiplies by one core after the other; "rebuilt" contracts the cores to a
    matrix first, which is faster for MPOs and many tokens. Both have gradients.

    Raises
    ------
    InputError: the MPO is smaller than the layer, or there is no such way to multiply.
    """

    roles: ClassVar[dict[str, Role]] = {"cores": Role.ADAPTER}

    def __init__(
        self,
        cores: Sequence[Tensor],
        shape: tuple[int, int],
        bias: Tensor | None = None,
        forward_by: Forward = "factorised",
    ) -> None:
        super().__init__()
        if forward_by not in FORWARDS:
            raise InputError(f"forward was given as {forward_by!r}", expected=f"one of {', '.join(FORWARDS)}")
        mpo = MPO(tuple(cores))
        if math.prod(mpo.out_dims) < shape[0] or math.prod(mpo.in_dims) < shape[1]:
            raise InputError(
                f"{mpo.out_dims} × {mpo.in_dims} is too small for a layer {shape[0]} × {shape[1]}"
            )
        self.out_features, self.in_features = shape
        self.forward_by: Forward = forward_by
        self.cores = nn.ParameterList([nn.Parameter(core.detach().clone()) for core in cores])
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    @classmethod
    def from_linear(cls, linear: nn.Linear, mpo: MPO, forward_by: Forward = "factorised") -> CompressedLinear:
        """The layer with the MPO as its matrix, in the type and on the device of `linear`."""
        weight = linear.weight
        cores = [core.to(weight.device, weight.dtype) for core in mpo.cores]
        return cls(cores, (linear.out_features, linear.in_features), linear.bias, forward_by)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in) → (..., out)."""
        if self.forward_by == "rebuilt":
            return functional.linear(inputs, self.matrix(), self.bias)
        outputs = self._multiply(inputs)
        return outputs if self.bias is None else outputs + self.bias

    def matrix(self) -> Tensor:
        """The matrix (out, in)."""
        whole = MPO(tuple(self.cores)).to_matrix()
        return whole[: self.out_features, : self.in_features]

    def to_linear(self) -> nn.Linear:
        """A plain layer with the same matrix and bias."""
        weight = self.matrix().detach()
        plain = nn.Linear(
            self.in_features, self.out_features, self.bias is not None, weight.device, weight.dtype
        )
        with torch.no_grad():
            plain.weight.copy_(weight)
            if self.bias is not None:
                plain.bias.copy_(self.bias)
        return plain

    def describe(self) -> dict[str, Any]:
        """What is needed to make an empty layer of this form, as JSON values."""
        return {
            "shape": [self.out_features, self.in_features],
            "cores": [list(core.shape) for core in self.cores],
            "bias": self.bias is not None,
            "forward": self.forward_by,
        }

    @classmethod
    def from_description(cls, record: dict[str, Any], dtype: torch.dtype) -> CompressedLinear:
        """A layer of the form that `describe` recorded, filled with zeros."""
        rows, columns = record["shape"]
        cores = [torch.zeros(*shape, dtype=dtype) for shape in record["cores"]]
        bias = torch.zeros(rows, dtype=dtype) if record["bias"] else None
        return cls(cores, (rows, columns), bias, record["forward"])

    def extra_repr(self) -> str:
        """Widths, cores and the way to multiply, for `print`."""
        shapes = " ".join("×".join(map(str, core.shape)) for core in self.cores)
        return f"in={self.in_features}, out={self.out_features}, cores={shapes}, {self.forward_by}"

    def _multiply(self, inputs: Tensor) -> Tensor:
        """One core after the other: rows hold the outputs that are done, columns the bond and open inputs."""
        wide = math.prod(core.shape[2] for core in self.cores)
        rows = functional.pad(inputs, (0, wide - self.in_features)).reshape(-1, wide)
        count = n_rows = len(rows)
        n_open = wide
        for core in self.cores:
            left, out, within, right = core.shape
            n_open //= within
            apart = rows.reshape(n_rows, left * within, n_open).mT
            done = apart @ core.permute(0, 2, 1, 3).reshape(left * within, out * right)
            apart = done.unflatten(-1, (out, right)).permute(0, 2, 3, 1)
            n_rows *= out
            rows = apart.reshape(n_rows, right * n_open)
        outputs = rows.reshape(count, n_rows // max(count, 1))[:, : self.out_features]
        return outputs.reshape(*inputs.shape[:-1], self.out_features)
