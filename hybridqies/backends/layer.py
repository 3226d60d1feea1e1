"""A circuit as a torch module: the only one that touches a backend."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hybridqies.backends.base import Backend
from hybridqies.backends.registry import DEFAULT_BACKEND, load_backend
from hybridqies.circuit import Circuit, Start
from hybridqies.errors import InputError
from hybridqies.options import parse
from hybridqies.roles import Role

_HALVES = (torch.bfloat16, torch.float16)


class QuantumLayer(nn.Module):
    """Runs `circuit` on `backend`: inputs (..., F) in, expectations (..., M) out.

    F is `circuit.n_inputs`: the angles in radians, after the 2**n amplitudes
    when the circuit starts from an amplitude vector. The trainable angles are
    the parameter `weights`, (W,), drawn uniformly from [-spread, spread).
    Its `role` says how training treats them.
    With `copies` there are that many circuits side by side, each with weights of its own:
    `weights` is (copies, W), inputs are (..., copies, F), expectations (..., copies, M).

    Raises
    ------
    UnknownNameError: no backend has that name.
    CapabilityError: the backend cannot run the circuit.
    InputError: fewer than one copy; no circuit, no tensor, or inputs of another shape.
    """

    def __init__(
        self,
        circuit: Circuit,
        backend: str | Backend = DEFAULT_BACKEND,
        *,
        copies: int | None = None,
        role: Role = Role.CIRCUIT,
        spread: float = math.pi,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(circuit, Circuit):
            raise InputError(
                f"a circuit layer was given {circuit!r:.80}",
                expected="a Circuit",
                todo="make one with load_circuit(name, n_qubits)",
            )
        copies = None if copies is None else parse(copies, int, "copies of a circuit")
        if copies is not None and copies < 1:
            raise InputError(f"{copies} copies of a circuit were asked for", expected="at least 1")
        if not 0 <= spread < math.inf:
            raise InputError(f"a spread of {spread} was given", expected="a number of radians, at least 0")
        self.circuit = circuit
        self.copies = copies
        self.backend = load_backend(backend)
        self.backend.check(circuit)
        self._ends = (circuit.n_inputs,) if copies is None else (copies, circuit.n_inputs)
        shape = (circuit.n_weights,) if copies is None else (copies, circuit.n_weights)
        start = torch.empty(shape, dtype=dtype).uniform_(-spread, spread, generator=generator)
        self.weights = nn.Parameter(start)
        self.roles = {"weights": role}

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations (..., M) for inputs (..., F), or (..., copies, M) for (..., copies, F)."""
        if not isinstance(inputs, Tensor):
            raise InputError(
                f"the circuit layer was given {type(inputs).__name__}",
                expected="a tensor",
                todo="convert it with torch.as_tensor(…)",
            )
        if inputs.shape[-len(self._ends) :] != self._ends:
            copies = "" if self.copies is None else f"{self.copies}, "
            raise InputError(
                f"the circuit layer was given inputs of shape {tuple(inputs.shape)}",
                expected=f"(..., {copies}{self.circuit.n_inputs}): {self.circuit.n_amplitudes} amplitudes, "
                f"then {self.circuit.n_features} angles",
            )
        weights: Tensor = self.weights
        if inputs.dim() == 2:
            # With copies these are one row of inputs per copy, which matches the rows of weights.
            return self._of_rows(inputs, weights)
        leading = inputs.shape[:-1]
        if self.copies is not None:
            weights = weights.expand(*leading, -1).reshape(math.prod(leading), self.circuit.n_weights)
        values = self._of_rows(inputs.reshape(math.prod(leading), self.circuit.n_inputs), weights)
        return values.reshape(*leading, values.shape[-1])

    def states(self, inputs: Tensor) -> Tensor:
        """Final states (B, 2**n) for inputs (B, F) of a layer without copies; without gradient.

        Raises
        ------
        CapabilityError: the backend gives no states.
        """
        weights = self.weights.to(inputs.dtype)
        if self.circuit.start is Start.ZERO:
            return self.backend.states(self.circuit, inputs, weights)
        amplitudes, features = inputs.split([self.circuit.n_amplitudes, self.circuit.n_features], dim=1)
        return self.backend.states(self.circuit, features, weights, amplitudes)

    def _of_rows(self, rows: Tensor, weights: Tensor) -> Tensor:
        if torch.is_autocast_enabled(rows.device.type):
            with torch.autocast(rows.device.type, enabled=False):
                return self._of_rows(rows, weights)
        # Under autocast the layer before returns half precision, which is too coarse for angles.
        rows = rows.to(weights.dtype) if rows.dtype in _HALVES else rows
        if self.circuit.start is Start.ZERO:
            return self.backend.expectations(self.circuit, rows, weights)
        amplitudes, features = rows.split([self.circuit.n_amplitudes, self.circuit.n_features], dim=1)
        return self.backend.expectations(self.circuit, features, weights, amplitudes)

    def extra_repr(self) -> str:
        """What `print(layer)` shows."""
        c = self.circuit
        many = "" if self.copies is None else f"{self.copies} copies of "
        sizes = f"qubits={c.n_qubits}, inputs={c.n_inputs}, weights={c.n_weights}"
        return f"{many}{c.name}, {sizes}, backend={self.backend.name}"
