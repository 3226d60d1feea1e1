"""A backend of your own: Qiskit's Statevector, with or without shots."""

from __future__ import annotations

import numpy as np
from qiskit.quantum_info import Statevector
from torch import Tensor

from hybridqies.backends import (
    Capabilities,
    Estimate,
    ExecutingBackend,
    Frequencies,
    Variant,
    derive_seed,
    estimate_observables,
    split_by_basis,
)
from hybridqies.circuit import Circuit, to_qiskit

ABLE = Capabilities(
    native_gradients=False, shots=True, noise=False, hardware=False,
    amplitude_input=True, max_qubits=12, costs_money=False,
)  # fmt: skip


class QiskitStatevector(ExecutingBackend):
    """Runs row by row; gradients come from the shift rules or SPSA."""

    name = "qiskit-statevector"
    variants = (Variant("", "Qiskit's Statevector", ABLE, packages=("qiskit",)),)

    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        draw = np.random.default_rng(derive_seed(self.options.seed, circuit, angles, amplitudes))
        starts = [None] * len(angles) if amplitudes is None else amplitudes.numpy()
        seen = []
        for each in split_by_basis(circuit):
            rows = zip(angles.numpy(), starts, strict=True)
            bound = [to_qiskit(each, amplitudes=start).assign_parameters(row) for row, start in rows]
            # Qiskit's qubit 0 is the last one of a basis state, ours the first.
            found = np.array([Statevector(one).reverse_qargs().probabilities() for one in bound])
            exact = Frequencies.of_probabilities(found)
            seen.append(exact if self.options.shots is None else exact.sampled(self.options.shots, draw))
        return estimate_observables(circuit, seen)
