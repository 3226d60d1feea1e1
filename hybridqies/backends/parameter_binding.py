"""Compiled circuits whose angles a matrix product fills in, for every row at once."""

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
    """A circuit whose angles are bare parameters a = slopes · weights + offsets, (A, W) and (A,).

    Compilers leave angles as expressions. Aer evaluates those one by one and row by row in Python, and its
    binding overlooks the angle of CRX, CRY and CRZ; bare parameters of other gates are bound right and fast.
    """

    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    slopes: Floats
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
        # No expectation sees it, and Aer would have it bound.
        built.global_phase = 0.0
        for row in plain.data:
            operation = row.operation
            if operation.is_parameterized():
                operation = operation.to_mutable()
                operation.params = [bare(angle) for angle in operation.params]
            built.append(operation, row.qubits, row.clbits)
        slopes, offsets = np.zeros((len(found), n_weights)), np.zeros(len(found))
        for at, expression in enumerate(found):
            offsets[at] = expression.bind(dict.fromkeys(expression.parameters, 0.0))
            for each in expression.parameters:
                slopes[at, each.index] = expression.gradient(each)
        return cls(built, tuple(found.values()), slopes, offsets)

    def binds(self, weights: Floats) -> dict[Parameter, list[float]]:
        """What Aer binds, for weights (N, W)."""
        angles = weights @ self.slopes.T + self.offsets
        return dict(zip(self.parameters, angles.T.tolist(), strict=True))
