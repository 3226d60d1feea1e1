"""Tensors as the kernels read them: what does not fit would be read past its end."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridqies.engine.plan import Plan
from hybridqies.errors import InputError


def check_tensors(plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> None:
    """Refuses tensors on different devices, of different precisions, or of other shapes than the plan's.

    Backends check theirs with more words; these are for calls of the engine itself.

    Raises
    ------
    InputError: naming the tensor.
    """
    if features.dtype not in (torch.float32, torch.float64):
        raise InputError(f"features are {features.dtype}", expected="torch.float32 or torch.float64")
    batch, tables = len(features), plan.flat.tables
    _check("features", features, features, (batch, tables.n_features))
    n_weights = weights.shape[-1]
    _check("weights", weights, features, (batch, n_weights) if tables.batched_weights else (n_weights,))
    if (amplitudes is not None) == bool(len(plan.flat.layout.product)):
        given = "no amplitudes" if amplitudes is None else "amplitudes"
        raise InputError(f"{given} were given", expected="amplitudes where the circuit starts from them")
    if amplitudes is not None:
        _check("amplitudes", amplitudes, features, (batch, 1 << plan.n_qubits))


def check_weights(plan: Plan, n_weights: int) -> None:
    """Refuses fewer weights than the plan uses.

    Raises
    ------
    InputError: it uses more.
    """
    sources, first = plan.flat.tables.angle_source, plan.flat.tables.n_features
    used = int(sources.max(initial=-1)) + 1 - first
    if used > n_weights:
        raise InputError(f"{n_weights} weights were given", expected=f"{used} or more: the circuit uses them")


def _check(what: str, tensor: Tensor, features: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise InputError(f"{what} were given with shape {tuple(tensor.shape)}", expected=f"{shape}")
    if tensor.device != features.device:
        raise InputError(
            f"{what} are on {tensor.device} and features on {features.device}",
            expected="one device",
            todo="move them with .to(device)",
        )
    precision = tensor.dtype.to_real() if tensor.is_complex() else tensor.dtype
    if precision != features.dtype:
        raise InputError(
            f"{what} are {tensor.dtype} and features {features.dtype}",
            expected="one precision",
            todo="convert with .to(dtype)",
        )
