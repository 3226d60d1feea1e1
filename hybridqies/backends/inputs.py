"""Checks of the tensors that a backend is given: they have to fit the circuit and each other."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridqies.circuit import Circuit, Start
from hybridqies.engine import all_finite, refuse_transforms
from hybridqies.errors import InputError

# Between these norms, squares of the entries that matter neither underflow nor overflow in float32.
_TINY, _HUGE = 1e-12, 1e15

_PRECISIONS = (torch.float32, torch.float64)


def check_inputs(
    circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
) -> Tensor | None:
    """The amplitudes scaled to unit norm; the scaling is part of their gradient. All inputs are checked.

    Raises
    ------
    InputError: a wrong shape, layout, dtype or device, a value that is not finite, a zero amplitude vector.
    CapabilityError: inside a transform of torch.func or forward-mode differentiation.
    """
    refuse_transforms(features, weights, amplitudes)
    _check_shape("features", features, circuit.n_features, (2,))
    _check_shape("weights", weights, circuit.n_weights, (1, 2))
    _check_like(features, weights)
    if not all_finite(features, weights):
        _check_finite("features", features)
        _check_finite("weights", weights)
    if weights.dim() == 2 and weights.shape[0] != features.shape[0]:
        raise InputError(
            f"weights were given for {weights.shape[0]} samples and features for {features.shape[0]}",
            expected="one row of weights a sample, or a single row of shape (W,)",
        )
    if (circuit.start is Start.AMPLITUDES) != (amplitudes is not None):
        raise InputError(
            f"circuit {circuit.name!r} starts from {circuit.start.value}, and amplitudes were "
            f"{'not ' if amplitudes is None else ''}given",
            expected=f"{circuit.n_amplitudes} amplitudes a sample",
        )
    return None if amplitudes is None else _unit_norm(circuit, features, amplitudes)


def _check_shape(what: str, tensor: Tensor, columns: int, ranks: tuple[int, ...]) -> None:
    if tensor.dim() not in ranks or tensor.shape[-1] != columns:
        wanted = {1: f"({columns},)", 2: f"(batch, {columns})"}
        raise InputError(
            f"{what} were given with shape {tuple(tensor.shape)}",
            expected=" or ".join(wanted[rank] for rank in ranks),
        )
    if tensor.layout is not torch.strided:
        raise InputError(
            f"{what} are a sparse tensor", expected="a dense one", todo="convert with .to_dense()"
        )
    if tensor.dtype not in _PRECISIONS:
        raise InputError(
            f"{what} are {_plain(tensor.dtype)}",
            expected="float32 or float64",
            todo="convert with .to(dtype)",
        )


def _check_like(features: Tensor, weights: Tensor) -> None:
    _check_device("weights", weights, features)
    if weights.dtype != features.dtype:
        raise InputError(
            f"weights are {_plain(weights.dtype)} and features are {_plain(features.dtype)}",
            expected="the same precision",
            todo="convert with .to(dtype)",
        )


def _check_device(what: str, tensor: Tensor, like: Tensor) -> None:
    if tensor.device != like.device:
        raise InputError(
            f"{what} are on {tensor.device} and features on {like.device}",
            expected="one device",
            todo="move the layer or the data with .to(device)",
        )


def _check_finite(what: str, tensor: Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{what} hold NaN or infinity", expected="finite numbers")


def _unit_norm(circuit: Circuit, features: Tensor, amplitudes: Tensor) -> Tensor:
    expected = (features.shape[0], circuit.n_amplitudes)
    if tuple(amplitudes.shape) != expected:
        raise InputError(
            f"amplitudes were given with shape {tuple(amplitudes.shape)}", expected=f"{expected}"
        )
    if amplitudes.dtype.to_real() != features.dtype:
        raise InputError(
            f"amplitudes are {_plain(amplitudes.dtype)} and features are {_plain(features.dtype)}",
            expected="the same precision",
            todo="convert with .to(dtype)",
        )
    _check_device("amplitudes", amplitudes, features)
    norms: Tensor = torch.linalg.vector_norm(amplitudes, dim=1, keepdim=True)
    if bool(((norms > _TINY) & (norms < _HUGE)).all()):
        return amplitudes / norms
    _check_finite("amplitudes", amplitudes)
    # Divided by the largest entry first: squares of very small or large entries under- or overflow.
    largest = amplitudes.detach().abs().amax(dim=1, keepdim=True)
    zero = largest[:, 0] == 0
    if bool(zero.any()):
        raise InputError(
            f"the amplitude vector of sample {int(zero.nonzero()[0])} is zero",
            expected="at least one entry that is not",
        )
    scaled: Tensor = amplitudes / largest
    again: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled / again


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
