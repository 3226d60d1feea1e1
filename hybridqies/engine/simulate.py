"""Expectations of a plan, with adjoint gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from hybridqies.engine.kernels import find_kernels
from hybridqies.engine.plan import Plan
from hybridqies.errors import CapabilityError, InputError


def expectations(
    plan: Plan,
    features: Tensor,
    weights: Tensor,
    amplitudes: Tensor | None = None,
    *,
    keep_states: bool = True,
) -> Tensor:
    """⟨P⟩ of every observable, (B, M), differentiable once in all three inputs.

    Shapes: features (B, F); weights (W,) or, for a plan made so, (B, W); amplitudes (B, 2**n),
    of unit norm, real or complex, or None for |0…0⟩. float32 or float64, one device.
    Memory is two states a sample, whatever the depth (adjoint differentiation,
    Jones and Gacon, arXiv:2009.02823). Without `keep_states` none is held between the passes, and the
    backward pass runs forward again.

    Raises
    ------
    InputError: one row of weights per sample for a plan without `batched_weights`, or the reverse.
    CapabilityError: inside a transform of torch.func or forward-mode differentiation; from `backward`,
        if a second derivative is wanted.
    """
    refuse_transforms(features, weights, amplitudes)
    plan = fit_plan(plan, weights, amplitudes)
    if torch.is_grad_enabled() and (
        features.requires_grad
        or weights.requires_grad
        or (amplitudes is not None and amplitudes.requires_grad)
    ):
        result: Tensor = _Adjoint.apply(plan, features, weights, amplitudes, keep_states)  # type: ignore[no-untyped-call]
        return result
    values, _ = find_kernels(features.device.type).forward(plan, features, weights, amplitudes, keep=False)
    return values


def all_finite(features: Tensor, weights: Tensor) -> bool:
    """Whether inputs of one device hold neither NaN nor infinity; cheaper on the CPU than torch's own."""
    return find_kernels(features.device.type).all_finite(features, weights)


def fit_plan(plan: Plan, weights: Tensor, amplitudes: Tensor | None) -> Plan:
    """The plan for these inputs: complex where the amplitudes are.

    Raises
    ------
    InputError: one row of weights per sample for a plan without `batched_weights`, or the reverse.
    """
    if (weights.dim() == 2) != plan.flat.tables.batched_weights:
        raise InputError(
            f"weights of shape {tuple(weights.shape)} were given to a plan for "
            f"{'one row per sample' if plan.flat.tables.batched_weights else 'one row for all samples'}",
            todo="compile the plan with batched_weights to match",
        )
    if amplitudes is not None and amplitudes.is_complex() and plan.is_real:
        return replace(plan, is_real=False)
    return plan


def bytes_needed(plan: Plan, features: Tensor, amplitudes: Tensor | None) -> int:
    """Bytes that states take in a forward and backward pass of this batch, without its inputs."""
    is_real = plan.is_real and not (amplitudes is not None and amplitudes.is_complex())
    return state_bytes(replace(plan, is_real=is_real), features.shape[0], features)


def state_bytes(plan: Plan, batch: int, like: Tensor) -> int:
    """`bytes_needed` for a number of samples, in the precision and on the device of `like`."""
    size = like.element_size()
    states = find_kernels(like.device.type).count_states(plan, batch, size)
    return states * size * (1 if plan.is_real else 2) << plan.n_qubits


def refuse_transforms(*tensors: Tensor | None) -> None:
    """Refuses torch.func (vmap, grad, jacrev), vectorised Jacobians and forward-mode differentiation.

    The kernels read plain numbers and would ignore what such a transform adds to a tensor.

    Raises
    ------
    CapabilityError: a tensor that such a transform has wrapped, or one with a tangent.
    """
    for tensor in tensors:
        if tensor is None:
            continue
        if forward_ad.unpack_dual(tensor).tangent is not None:
            raise CapabilityError(
                "a circuit was run under forward-mode differentiation (torch.autograd.forward_ad)",
                expected="reverse mode",
                todo="use backward() or torch.autograd.grad",
            )
        if torch._C._functorch.is_functorch_wrapped_tensor(
            tensor
        ) or torch._C._functorch.is_legacy_batchedtensor(tensor):
            raise CapabilityError(
                "a circuit was run inside a transform of torch.func or a vectorised Jacobian",
                expected="plain tensors",
                todo="pass the batch as it is, and use torch.autograd.grad or "
                "torch.autograd.functional.jacobian without vectorize=True",
            )


class _Adjoint(torch.autograd.Function):
    """Forward by the kernels of the tensors' device; backward by uncomputing the final states."""

    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        features: Tensor,
        weights: Tensor,
        amplitudes: Tensor | None,
        keep: bool,
    ) -> Tensor:
        kernels = find_kernels(features.device.type)
        values, ctx.kept = kernels.forward(plan, features, weights, amplitudes, keep=keep)
        ctx.plan = plan
        ctx.save_for_backward(features, weights, amplitudes)
        return values

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Any, ...]:
        refuse_transforms(gradients)
        if torch.is_grad_enabled():
            raise CapabilityError(
                "a second derivative of a circuit was asked for (create_graph=True)",
                expected="first derivatives only from the adjoint method",
                todo="call backward without create_graph, or difference the gradient",
            )
        # Reading them makes torch check that no input was changed in place since the forward pass.
        inputs = ctx.saved_tensors
        kernels = find_kernels(inputs[0].device.type)
        kept, ctx.kept = ctx.kept, None
        if kept is None:
            # None were to be kept, or an earlier backward pass over the same graph used them up.
            _, kept = kernels.forward(ctx.plan, *inputs, keep=True)
        return (None, *kernels.backward(kept, gradients, wants_amplitudes=ctx.needs_input_grad[3]), None)
