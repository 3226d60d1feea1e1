"""Compiled circuits whose angles are computed by one matrix product for all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Bindable:
    """A circuit whose angles are bare parameters: derivatives (A, W) times the weights, plus offsets (A,).

    Compilers leave expressions as angles. Aer evaluates them one by one and row by row in Python, and its
    binding ignores the angles of CRX, CRY and CRZ. Bare parameters of other gates are bound correctly.
    """

    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    derivatives: Floats
    offsets: Floats

    @classmethod
    def of(cls, circuit: QuantumCircuit, n_weights: int) -> Bindable:
        """`circuit`, whose parameters are the weights, without controlled rotations."""
        from qiskit.circuit import Parameter, ParameterExpression

        found: dict[ParameterExpression, Parameter] = {}

        def bare(angle: Any) -> Any:
            if not isinstance(angle, ParameterExpression):
                return angle
            if not angle.parameters:
                return float(angle)
            return found.setdefault(angle, Parameter(f"a{len(found)}"))

        plain = circuit.decompose(["crx", "cry", "crz"])
        built = plain.copy_empty_like()
        # Expectations do not depend on it, and Aer would want its parameters bound.
        built.global_phase = 0.0
        for row in plain.data:
            operation = row.operation
            if operation.is_parameterized():
                operation = operation.to_mutable()
                operation.params = [bare(angle) for angle in operation.params]
            built.append(operation, row.qubits, row.clbits)
        derivatives, offsets = np.zeros((len(found), n_weights)), np.zeros(len(found))
        for at, expression in enumerate(found):
            offsets[at] = expression.bind(dict.fromkeys(expression.parameters, 0.0))
            for each in expression.parameters:
                derivatives[at, each.index] = expression.gradient(each)
        return cls(built, tuple(found.values()), derivatives, offsets)

    def binds(self, weights: Floats) -> dict[Parameter, list[float]]:
        """What Aer binds, for weights (N, W)."""
        angles = weights @ self.derivatives.T + self.offsets
        return dict(zip(self.parameters, angles.T.tolist(), strict=True))
