"""A circuit as a torch module: the only one that touches a backend."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hybridqies.backends.base import Backend
from hybridqies.backends.registry import load_backend
from hybridqies.circuit import Circuit, Start
from hybridqies.errors import InputError


class QuantumLayer(nn.Module):
    """Runs `circuit` on `backend`: inputs (..., F) in, expectations (..., M) out.

    F is `circuit.n_inputs`: the angles in radians, after the 2**n amplitudes
    when the circuit starts from an amplitude vector. The trainable angles are
    the parameter `weights`, (W,), drawn uniformly from [-spread, spread).

    Raises
    ------
    UnknownNameError: no backend has that name.
    CapabilityError: the backend cannot run the circuit.
    """

    def __init__(
        self,
        circuit: Circuit,
        backend: str | Backend = "statevector",
        *,
        spread: float = math.pi,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.circuit = circuit
        self.backend = load_backend(backend) if isinstance(backend, str) else backend
        self.backend.check(circuit)
        start = torch.empty(circuit.n_weights, dtype=dtype).uniform_(-spread, spread, generator=generator)
        self.weights = nn.Parameter(start)

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations (..., M) for inputs (..., F)."""
        if inputs.dim() == 0 or inputs.shape[-1] != self.circuit.n_inputs:
            raise InputError(
                f"the circuit layer was given inputs of shape {tuple(inputs.shape)}",
                expected=f"(..., {self.circuit.n_inputs}): {self.circuit.n_amplitudes} amplitudes, "
                f"then {self.circuit.n_features} angles",
            )
        if inputs.dim() == 2:
            return self._of_rows(inputs)
        values = self._of_rows(inputs.reshape(math.prod(inputs.shape[:-1]), self.circuit.n_inputs))
        return values.reshape(*inputs.shape[:-1], values.shape[-1])

    def _of_rows(self, rows: Tensor) -> Tensor:
        if self.circuit.start is Start.ZERO:
            return self.backend.expectations(self.circuit, rows, self.weights)
        amplitudes, features = rows.split([self.circuit.n_amplitudes, self.circuit.n_features], dim=1)
        return self.backend.expectations(self.circuit, features, self.weights, amplitudes)

    def extra_repr(self) -> str:
        """What `print(layer)` shows."""
        c = self.circuit
        sizes = f"qubits={c.n_qubits}, inputs={c.n_inputs}, weights={c.n_weights}"
        return f"{c.name}, {sizes}, backend={self.backend.name}"
