"""Expectations of a plan with adjoint gradients: the one door into the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hybridqies.engine import device
from hybridqies.engine.plan import Plan
from hybridqies.errors import CapabilityError


def expectations(plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None) -> Tensor:
    """⟨P⟩ of every observable, (B, M), differentiable once in all three inputs.

    Shapes: features (B, F); weights (W,) or, for a plan made so, (B, W); amplitudes (B, 2**n),
    of unit norm, real or complex, or None for |0…0⟩. float32 or float64, one device.
    Memory is two states a sample, whatever the depth (adjoint differentiation,
    Jones and Gacon, arXiv:2009.02823).
    """
    if amplitudes is not None and amplitudes.is_complex() and plan.is_real:
        plan = replace(plan, is_real=False)
    given = [features, weights] if amplitudes is None else [features, weights, amplitudes]
    if torch.is_grad_enabled() and any(each.requires_grad for each in given):
        result: Tensor = _Adjoint.apply(plan, features, weights, amplitudes)  # type: ignore[no-untyped-call]
        return result
    values, _ = _kernels(features).forward(plan, features, weights, amplitudes, keep=False)
    return values


def bytes_needed(plan: Plan, features: Tensor, amplitudes: Tensor | None) -> int:
    """Memory that states take in a forward and backward pass of this batch, without its inputs."""
    is_real = plan.is_real and not (amplitudes is not None and amplitudes.is_complex())
    size = features.element_size()
    states: int = _kernels(features).states_held(plan.n_qubits, features.shape[0], size)
    return states * size * (1 if is_real else 2) << plan.n_qubits


def _kernels(tensor: Tensor) -> Any:
    if tensor.device.type != "cpu":
        return device
    from hybridqies.engine import cpu

    return cpu


class _Adjoint(torch.autograd.Function):
    """Forward by the kernels of the tensors' device; backward by uncomputing the final states."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        values: Tensor
        values, ctx.states = _kernels(features).forward(plan, features, weights, amplitudes, keep=True)
        ctx.plan = plan
        ctx.save_for_backward(features, weights, amplitudes)
        return values

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise CapabilityError(
                "a second derivative of a circuit was asked for (create_graph=True)",
                expected="first derivatives only from the adjoint method",
                todo="call backward without create_graph, or difference the gradient",
            )
        inputs = ctx.saved_tensors
        kernels = _kernels(inputs[0])
        states, ctx.states = ctx.states, None
        if states is None:
            # A first backward pass has used them up; a second one over the same graph runs forward again.
            _, states = kernels.forward(ctx.plan, *inputs, keep=True)
        return (None, *kernels.backward(ctx.plan, *inputs, states, gradients))
