"""What a backend is: one method that turns circuits and tensors into expectations; honest capabilities."""

from __future__ import annotations

import cmath
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hybridqies.circuit import Circuit, Start
from hybridqies.errors import CapabilityError, InputError

# Norms whose squares, and those of entries that matter to them, have a normal float in single precision.
_TINY, _HUGE = 1e-12, 1e15


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; anything else it refuses by name."""

    native_gradients: bool
    shots: bool
    noise: bool
    hardware: bool
    amplitude_input: bool
    max_qubits: int
    costs_money: bool


class Backend(ABC):
    """Where circuits run. Subclasses fill in `_run`; checks and normalisation are done here, once for all."""

    name: ClassVar[str]
    summary: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def check(self, circuit: Circuit) -> None:
        """Refuses a circuit this backend cannot run, before anything is spent.

        Raises
        ------
        CapabilityError: too many qubits, or an amplitude start that it doesn't take.
        """
        able = self.capabilities
        if circuit.n_qubits > able.max_qubits:
            raise CapabilityError(
                f"{circuit.n_qubits} qubits were asked of backend {self.name!r}",
                expected=f"at most {able.max_qubits}",
                todo="use fewer qubits or another backend (see: hybridqies backends)",
            )
        if circuit.start is Start.AMPLITUDES and not able.amplitude_input:
            raise CapabilityError(
                f"circuit {circuit.name!r} starts from amplitudes, which backend {self.name!r} does not take",
                todo="run it on 'statevector', or use a circuit that starts from |0...0>",
            )

    def expectations(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
    ) -> Tensor:
        """The expectation of every observable, (B, M), differentiable in features, weights and amplitudes.

        Shapes: features (B, F) in radians, weights (W,) or (B, W) in radians,
        amplitudes (B, 2**n), real or complex, scaled to unit norm here (the
        gradient knows of the scaling).

        Raises
        ------
        CapabilityError: the backend cannot run the circuit.
        InputError: a wrong shape, dtype or device, a value that is not finite, or a zero amplitude vector.
        """
        self.check(circuit)
        _check_tensor("features", features, circuit.n_features, features)
        _check_tensor("weights", weights, circuit.n_weights, features)
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
        if amplitudes is not None:
            amplitudes = _unit_norm(circuit, features, amplitudes)
        if features.shape[0] == 0:
            # Nothing to run, and still a result that backward() can start from.
            given = (features, weights) if amplitudes is None else (features, weights, amplitudes.abs())
            total = torch.cat([each.flatten() for each in given]).sum()
            return features.new_zeros(0, len(circuit.observables)) * total
        return self._run(circuit, features, weights, amplitudes)

    @abstractmethod
    def _run(self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        """`expectations` for checked inputs and at least one sample."""


def _check_tensor(what: str, tensor: Tensor, columns: int, like: Tensor) -> None:
    ranks = (2,) if what == "features" else (1, 2)
    if tensor.shape[-1:] != (columns,) or tensor.dim() not in ranks:
        wanted = f"(batch, {columns})" if what == "features" else f"({columns},) or (batch, {columns})"
        raise InputError(f"{what} were given with shape {tuple(tensor.shape)}", expected=wanted)
    if tensor.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"{what} are {_plain(tensor.dtype)}",
            expected="float32 or float64",
            todo="convert with .to(dtype)",
        )
    _check_device(what, tensor, like)
    _check_finite(what, tensor)
    if tensor.dtype != like.dtype:
        raise InputError(
            f"{what} are {_plain(tensor.dtype)} and features are {_plain(like.dtype)}",
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
    # A sum is one pass and is finite only if all terms are; huge terms may overflow it, so ask again.
    if not cmath.isfinite(tensor.detach().sum().item()) and not bool(torch.isfinite(tensor).all()):
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
    # Scaled by the largest entry first: squares of very small or large entries have no float.
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
