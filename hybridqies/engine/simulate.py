"""Expectations of a program with adjoint gradients: the one door into the engine."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from hybridqies.engine import device
from hybridqies.engine.program import Pools, Program, fill
from hybridqies.errors import CapabilityError


def expectations(
    program: Program, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
) -> Tensor:
    """⟨P⟩ of every observable, (B, M), differentiable once in all three inputs.

    Shapes: features (B, F); weights (W,) or (B, W); amplitudes (B, 2**n), of unit
    norm, real or complex, or None for |0…0⟩. float32 or float64, one device.
    Memory is a few states a sample, whatever the depth (adjoint differentiation,
    Jones and Gacon, arXiv:2009.02823).
    """
    if amplitudes is not None and amplitudes.is_complex() and program.is_real:
        program = replace(program, is_real=False)
    pools = fill(program, features, weights)
    start = None if amplitudes is None else amplitudes.to(pools.shared_two.dtype)
    result: Tensor = _Adjoint.apply(program, features.shape[0], start, *pools)  # type: ignore[no-untyped-call]
    return result


def bytes_needed(program: Program, features: Tensor, amplitudes: Tensor | None) -> int:
    """Memory that states take in a forward and backward pass of this batch, without its inputs."""
    is_real = program.is_real and not (amplitudes is not None and amplitudes.is_complex())
    size = features.element_size() * (1 if is_real else 2)
    states: int = _kernels(features).states_held(program.n_qubits, features.shape[0])
    return states * size << program.n_qubits


def _kernels(tensor: Tensor) -> ModuleType:
    if tensor.device.type != "cpu":
        return device
    from hybridqies.engine import cpu

    return cpu


class _Adjoint(torch.autograd.Function):
    """Forward by the kernels of the tensors' device; backward by uncomputing the final state."""

    @staticmethod
    def forward(ctx: Any, program: Program, batch: int, start: Tensor | None, *pools: Tensor) -> Tensor:
        values: Tensor
        values, final = _kernels(pools[0]).forward(program, Pools(*pools), start, batch)
        ctx.program = program
        ctx.has_start = start is not None
        ctx.save_for_backward(final, *pools)
        return values

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise CapabilityError(
                "a second derivative of a circuit was asked for (create_graph=True)",
                expected="first derivatives only from the adjoint method",
                todo="call backward without create_graph, or difference the gradient",
            )
        final, *pools = ctx.saved_tensors
        start, grads = _kernels(final).backward(ctx.program, Pools(*pools), final, gradients)
        return (None, None, start if ctx.has_start else None, *grads)
