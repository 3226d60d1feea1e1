"""Gradient rules for backends that only return values: all displaced points are one submission."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from hybridqies.errors import CapabilityError

_ROOT = math.sqrt(2)
# Shifts and coefficients by the number of frequencies. One frequency: Schuld, Bergholm, Gogolin, Izaac,
# Killoran, arXiv:1811.11184, Eq. 14. Two, at 1/2 and 1 (controlled rotations): Anselmetti, Wierichs,
# Gogolin, Parrish, arXiv:2104.05695, Eq. 8.
_TERMS = {
    1: ((math.pi / 2, 0.5), (-math.pi / 2, -0.5)),
    2: (
        (math.pi / 2, (_ROOT + 1) / (4 * _ROOT)),
        (-math.pi / 2, -(_ROOT + 1) / (4 * _ROOT)),
        (3 * math.pi / 2, -(_ROOT - 1) / (4 * _ROOT)),
        (-3 * math.pi / 2, (_ROOT - 1) / (4 * _ROOT)),
    ),
}


class Gradient(enum.Enum):
    """How a sampled or remote circuit is differentiated: exactly, by the shift rules, or by SPSA."""

    ADJOINT = "adjoint"
    SHIFT = "shift"
    SPSA = "spsa"


@dataclass(frozen=True, eq=False, slots=True)
class Displaced:
    """Displacements (B, S, K) of the parameters, and coefficients (B, S, K) of the values there.

    The derivative of observable m in parameter k is the sum over s of coefficient times value.
    """

    displacements: Tensor
    coefficients: Tensor


class Rule(Protocol):
    """From parameters (B, K) to the displaced points that their gradient needs."""

    def displace(self, parameters: Tensor) -> Displaced:
        """The displaced points of each row."""


@dataclass(frozen=True, slots=True)
class ShiftRule:
    """The parameter-shift rules, exact for every gate: two terms a slot, four for a controlled rotation.

    `frequencies[k]` belongs to parameter k; slots not in `wanted` get no derivative and cost nothing.
    """

    frequencies: Sequence[int]
    wanted: Sequence[int]

    @property
    def n_points(self) -> int:
        """Displaced points a sample: 2 for each wanted slot of one frequency, 4 for each of two."""
        return sum(len(_TERMS[self.frequencies[slot]]) for slot in self.wanted)

    def displace(self, parameters: Tensor) -> Displaced:
        """Each wanted parameter shifted alone, the same for all rows."""
        displacements = parameters.new_zeros(self.n_points, parameters.shape[1])
        coefficients = torch.zeros_like(displacements)
        terms = ((slot, *term) for slot in self.wanted for term in _TERMS[self.frequencies[slot]])
        for row, (slot, shift, coefficient) in enumerate(terms):
            displacements[row, slot] = shift
            coefficients[row, slot] = coefficient
        batch = len(parameters)
        return Displaced(displacements.expand(batch, -1, -1), coefficients.expand(batch, -1, -1))


@dataclass(frozen=True, eq=False, slots=True)
class SPSA:
    """Simultaneous perturbation: `directions` random signs a sample, `step` radians to either side.

    Unbiased up to terms in step**2. Spall, IEEE Trans. Autom. Control 37, 332 (1992), Eq. 2.2.
    """

    directions: int
    step: float
    generator: torch.Generator

    def displace(self, parameters: Tensor) -> Displaced:
        """Two points a direction, at opposite sides."""
        shape = (len(parameters), self.directions, parameters.shape[1])
        signs = torch.randint(0, 2, shape, generator=self.generator).to(parameters) * 2 - 1
        coefficients = signs / (2 * self.step * self.directions)
        return Displaced(
            torch.cat([self.step * signs, -self.step * signs], dim=1),
            torch.cat([coefficients, -coefficients], dim=1),
        )


def measured(parameters: Tensor, run: Callable[[Tensor], Tensor], rule: Rule) -> Tensor:
    """`run` at every row of `parameters` (B, K), differentiable by `rule`: (B, M).

    `run` takes (N, K) and returns (N, M) and is called once, with the samples and all
    displaced points together, so that a whole training step is one submission.
    """
    values: Tensor = _Measured.apply(parameters, run, rule)  # type: ignore[no-untyped-call]
    return values


class _Measured(torch.autograd.Function):
    """Values and their Jacobian from one call; backward contracts the Jacobian."""

    @staticmethod
    def forward(ctx: Any, parameters: Tensor, run: Callable[[Tensor], Tensor], rule: Rule) -> Tensor:
        displaced = rule.displace(parameters)
        points = torch.cat([parameters[:, None], parameters[:, None] + displaced.displacements], dim=1)
        values: Tensor = run(points.flatten(0, 1)).unflatten(0, points.shape[:2])
        ctx.save_for_backward(torch.einsum("bsk,bsm->bmk", displaced.coefficients, values[:, 1:]))
        return values[:, 0].clone()

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise CapabilityError(
                "a second derivative of a circuit was asked for (create_graph=True)",
                expected="first derivatives only from the shift rules and SPSA",
                todo="call backward without create_graph, or difference the gradient",
            )
        (jacobian,) = ctx.saved_tensors
        return torch.einsum("bm,bmk->bk", gradients, jacobian), None, None
