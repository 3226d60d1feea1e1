"""Circuits compiled by Qiskit: once per circuit and target, with angles that a matrix product fills in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.backends.footprint import Footprint
from hybridqies.circuit import Circuit
from hybridqies.circuit.qiskit import to_qiskit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter
    from qiskit.transpiler import Target

Floats = NDArray[np.float64]
Make = Callable[[Circuit], "QuantumCircuit"]

_LEVEL = 3


class Transpiler:
    """Measured circuits in the gates and on the couplings of `target`; each is compiled once.

    At Qiskit's highest level of optimisation with a fixed seed: equal circuits compile equally.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._compiled: dict[str, QuantumCircuit] = {}

    def __call__(self, circuit: Circuit) -> QuantumCircuit:
        """`circuit` compiled, its weights unbound; classical bit i is qubit i."""
        from qiskit.transpiler import generate_preset_pass_manager

        digest = circuit.digest()
        if digest not in self._compiled:
            manager = generate_preset_pass_manager(_LEVEL, target=self._target, seed_transpiler=0)
            self._compiled[digest] = manager.run(to_qiskit(circuit, measured=True))
        return self._compiled[digest]

    def footprint(self, circuit: Circuit) -> Footprint:
        """Depth and gates of `circuit` once compiled."""
        compiled = self(circuit)
        sizes = [len(row.qubits) for row in compiled.data if row.operation.name not in ("barrier", "measure")]
        depth = compiled.depth(lambda row: row.operation.name != "measure")
        return Footprint(depth, sizes.count(1), sizes.count(2))


def used_qubits(circuit: QuantumCircuit) -> set[int]:
    """The qubits that anything is done to."""
    rows = (row for row in circuit.data if row.operation.name != "barrier")
    return {circuit.find_bit(qubit).index for row in rows for qubit in row.qubits}


def measured_qubits(circuit: QuantumCircuit) -> list[int]:
    """The qubit behind each classical bit, in their order."""
    rows = [row for row in circuit.data if row.operation.name == "measure"]
    where = {circuit.find_bit(row.clbits[0]).index: circuit.find_bit(row.qubits[0]).index for row in rows}
    return [where[bit] for bit in sorted(where)]


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
