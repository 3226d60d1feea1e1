"""What our numbers are compared with: PennyLane default.qubit and Qiskit Statevector, in double precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
import torch
from qiskit.quantum_info import Statevector
from strategies import Case
from torch import Tensor

from hybridqies.circuit import (
    Angle,
    Circuit,
    Constant,
    Weight,
    observables_to_qiskit,
    to_pennylane,
    to_qiskit,
)

Inputs = tuple[Tensor, Tensor, Tensor | None]


def inputs_of(case: Case, dtype: torch.dtype = torch.float64, *, wants_gradient: bool = False) -> Inputs:
    """A case's features, weights and amplitudes as tensors; complex amplitudes stay complex."""
    given = [torch.tensor(case.features, dtype=dtype), torch.tensor(case.weights, dtype=dtype)]
    for each in given:
        each.requires_grad_(wants_gradient)
    if case.amplitudes is None:
        return given[0], given[1], None
    kind = dtype.to_complex() if np.iscomplexobj(case.amplitudes) else dtype
    amplitudes = torch.tensor(case.amplitudes, dtype=kind, requires_grad=wants_gradient)
    return given[0], given[1], amplitudes


def doubled(inputs: Inputs) -> Inputs:
    """The same numbers as leaves in double precision, so that a reference doesn't round where we do."""
    features, weights, amplitudes = (
        None if each is None else each.detach().to(_double(each)).requires_grad_(each.requires_grad)
        for each in inputs
    )
    assert features is not None
    assert weights is not None
    return features, weights, amplitudes


def by_pennylane(circuit: Circuit, inputs: Inputs) -> Tensor:
    """Expectations (B, M) by default.qubit, differentiable by backpropagation through it."""
    features, weights, amplitudes = inputs
    if amplitudes is not None:
        amplitudes = amplitudes / amplitudes.norm(dim=1, keepdim=True)
    circuit, constants = _weights_for_constants(circuit)
    every_weight = torch.cat([weights, weights.new_tensor(constants)], dim=-1)
    function = to_pennylane(circuit)
    node = qml.QNode(function, qml.device("default.qubit"), interface="torch", diff_method="backprop")
    columns = node(features, every_weight.expand(len(features), -1), amplitudes)
    return torch.stack([each.expand(len(features)) for each in columns], dim=1)


def by_qiskit(circuit: Circuit, inputs: Inputs) -> np.ndarray[Any, Any]:
    """Expectations (B, M) by Statevector, sample by sample."""
    features, weights, amplitudes = inputs
    observables = observables_to_qiskit(circuit)
    rows = []
    for b in range(len(features)):
        vector = None if amplitudes is None else (amplitudes[b] / amplitudes[b].norm()).detach().numpy()
        built = to_qiskit(circuit, amplitudes=vector)
        values = {
            each: (features[b] if each.vector.name == "x" else weights)[each.index].item()
            for each in built.parameters
        }
        state = Statevector(built.assign_parameters(values))
        rows.append([state.expectation_value(each).real for each in observables])
    return np.array(rows)


def _weights_for_constants(circuit: Circuit) -> tuple[Circuit, list[float]]:
    """The circuit with its constants as more weights: default.qubit mixes no number with a torch tensor."""
    constants: list[float] = []
    gates = []
    for each in circuit.gates:
        angles: list[Angle] = []
        for angle in each.angles:
            if isinstance(angle, Constant):
                constants.append(angle.value)
                angle = Weight(circuit.n_weights + len(constants) - 1)
            angles.append(angle)
        gates.append(replace(each, angles=tuple(angles)))
    return replace(circuit, gates=tuple(gates), n_weights=circuit.n_weights + len(constants)), constants


def _double(tensor: Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64
