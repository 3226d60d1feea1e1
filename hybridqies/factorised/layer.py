"""The layer that replaces a linear one: cores instead of a weight, and back to a plain layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridqies.errors import InputError
from hybridqies.factorised.plain_layers import Kind, kind_of, make_layer, weight_of
from hybridqies.roles import Role
from hybridqies.tensornet import MPO, Brickwork, Disentangled
from hybridqies.tensornet.brickwork import ANGLES_PER_GATE

Forward = Literal["factorised", "rebuilt"]
FORWARDS: tuple[Forward, ...] = ("factorised", "rebuilt")


def check_forward(given: str) -> Forward:
    """The way to multiply of that name, or an InputError."""
    for known in FORWARDS:
        if known == given:
            return known
    raise InputError(f"forward was given as {given!r}", expected=f"one of {', '.join(FORWARDS)}")


class Gates(nn.Module):
    """A brickwork circuit whose gates are buffers: trained themselves, they would not stay orthogonal.

    Between `free` and `fix` the gates are turned by `angles`, six for each, which can be trained.
    """

    roles: ClassVar[dict[str, Role]] = {"angles": Role.CIRCUIT}
    gates: Tensor
    angles: nn.Parameter | None

    def __init__(self, circuit: Brickwork) -> None:
        super().__init__()
        self.n_qubits, self.bonds = circuit.n_qubits, circuit.bonds
        self.register_buffer("gates", circuit.gates.detach().clone())
        self.register_parameter("angles", None)

    @property
    def circuit(self) -> Brickwork:
        """The circuit."""
        held = Brickwork(self.n_qubits, self.bonds, self.gates)
        return held if self.angles is None else held.turned(self.angles)

    def free(self) -> None:
        """Adds the angles, which are 0."""
        if self.bonds:
            self.angles = nn.Parameter(self.gates.new_zeros(len(self.bonds), ANGLES_PER_GATE))

    @torch.no_grad()
    def fix(self) -> None:
        """Turns the gates by the angles, which are removed."""
        self.gates.copy_(self.circuit.gates)
        self.angles = None

    def extra_repr(self) -> str:
        """Qubits and gates, for `print`."""
        return f"qubits={self.n_qubits}, gates={len(self.bonds)}"


class CompressedLinear(nn.Module):
    """y = W x + b, (..., in) → (..., out), with the matrix W as the cores of an MPO M, or as U M Vᵀ.

    `circuits` are U and V. `forward_by` "factorised" multiplies by one factor after the other; "rebuilt"
    contracts them to a matrix first, which is faster for MPOs and many tokens. Both have gradients.
    `replaces` is the kind of layer that it stands for.

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
        circuits: tuple[Brickwork, Brickwork] | None = None,
        replaces: Kind = "linear",
    ) -> None:
        super().__init__()
        mpo = MPO(tuple(cores))
        if math.prod(mpo.out_dims) < shape[0] or math.prod(mpo.in_dims) < shape[1]:
            raise InputError(
                f"{mpo.out_dims} × {mpo.in_dims} is too small for a layer {shape[0]} × {shape[1]}"
            )
        self.out_features, self.in_features = shape
        self.forward_by = check_forward(forward_by)
        self.replaces: Kind = replaces
        self.cores = nn.ParameterList([nn.Parameter(core.detach().clone()) for core in cores])
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.left = None if circuits is None else Gates(circuits[0])
        self.right = None if circuits is None else Gates(circuits[1])

    @classmethod
    def from_layer(
        cls, layer: nn.Module, fitted: MPO | Disentangled, forward_by: Forward = "factorised"
    ) -> CompressedLinear:
        """The layer with what was fitted as its matrix, in the type and on the device of `layer`."""
        kind, weight = kind_of(layer), weight_of(layer)
        assert kind is not None
        mpo = fitted if isinstance(fitted, MPO) else fitted.mpo
        circuits = None
        if isinstance(fitted, Disentangled):
            left, right = (replace(side, gates=side.gates.to(weight)) for side in (fitted.left, fitted.right))
            circuits = (left, right)
        cores = [core.to(weight) for core in mpo.cores]
        rows, columns = weight.shape
        bias: Any = layer.bias
        return cls(cores, (rows, columns), bias, forward_by, circuits, kind)

    @property
    def n_angles(self) -> int:
        """Angles of both circuits, six for each gate."""
        return sum(side.circuit.n_angles for side in (self.left, self.right) if side is not None)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in) → (..., out)."""
        if self.forward_by == "rebuilt":
            return functional.linear(inputs, self.matrix(), self.bias)
        outputs = self._multiply(inputs)
        return outputs if self.bias is None else outputs + self.bias

    def matrix(self) -> Tensor:
        """The matrix (out, in)."""
        whole = MPO(tuple(self.cores)).to_matrix()
        if self.left is not None and self.right is not None:
            whole = self.left.circuit.apply(self.right.circuit.apply(whole.mT).mT)
        return whole[: self.out_features, : self.in_features]

    def to_plain(self) -> nn.Module:
        """A plain layer of the kind that was replaced, with the same matrix and bias."""
        return make_layer(self.replaces, self.matrix().detach(), self.bias)

    def describe(self) -> dict[str, Any]:
        """What is needed to make an empty layer of this form, as JSON values."""
        return {
            "shape": [self.out_features, self.in_features],
            "cores": [list(core.shape) for core in self.cores],
            "bias": self.bias is not None,
            "forward": self.forward_by,
            "replaces": self.replaces,
            "circuits": [
                {"n_qubits": side.n_qubits, "bonds": list(side.bonds)}
                for side in (self.left, self.right)
                if side is not None
            ],
        }

    @classmethod
    def from_description(cls, record: dict[str, Any], dtype: torch.dtype) -> CompressedLinear:
        """A layer of the form that `describe` recorded, filled with zeros."""
        rows, columns = record["shape"]
        cores = [torch.zeros(*shape, dtype=dtype) for shape in record["cores"]]
        bias = torch.zeros(rows, dtype=dtype) if record["bias"] else None
        zeros = [torch.zeros(len(each["bonds"]), 4, 4, dtype=dtype) for each in record["circuits"]]
        sides = [
            Brickwork(each["n_qubits"], tuple(each["bonds"]), gates)
            for each, gates in zip(record["circuits"], zeros, strict=True)
        ]
        circuits = (sides[0], sides[1]) if sides else None
        return cls(cores, (rows, columns), bias, record["forward"], circuits, record["replaces"])

    def extra_repr(self) -> str:
        """Widths, cores and the way to multiply, for `print`."""
        shapes = " ".join("×".join(map(str, core.shape)) for core in self.cores)
        return f"in={self.in_features}, out={self.out_features}, cores={shapes}, {self.forward_by}"

    def _multiply(self, inputs: Tensor) -> Tensor:
        """One factor after the other, on rows that are padded to the width of the MPO."""
        wide = math.prod(core.shape[2] for core in self.cores)
        rows = functional.pad(inputs, (0, wide - self.in_features)).reshape(-1, wide)
        if self.right is not None:
            rows = self.right.circuit.undo(rows.mT).mT
        rows = self._multiply_by_cores(rows)
        if self.left is not None:
            rows = self.left.circuit.apply(rows.mT).mT
        return rows[:, : self.out_features].reshape(*inputs.shape[:-1], self.out_features)

    def _multiply_by_cores(self, rows: Tensor) -> Tensor:
        """One core after the other: rows hold the outputs that are done, columns the bond and open inputs."""
        count, wide = rows.shape
        n_rows = count
        n_open = wide
        for core in self.cores:
            left, out, within, right = core.shape
            n_open //= within
            apart = rows.reshape(n_rows, left * within, n_open).mT
            done = apart @ core.permute(0, 2, 1, 3).reshape(left * within, out * right)
            apart = done.unflatten(-1, (out, right)).permute(0, 2, 3, 1)
            n_rows *= out
            rows = apart.reshape(n_rows, right * n_open)
        return rows.reshape(count, math.prod(core.shape[1] for core in self.cores))


def replace_module(model: nn.Module, name: str, new: nn.Module) -> None:
    """Puts `new` where the module `name` was."""
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, new.train(model.training))
