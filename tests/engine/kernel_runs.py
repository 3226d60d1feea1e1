"""Circuits through the kernels: values and gradients, for several files of tests."""

from __future__ import annotations

import itertools

import torch
from references import inputs_of
from strategies import Case

from hybridqies.circuit import Circuit, Start, Weight, feature, gate
from hybridqies.engine import (
    Rules,
    compile_plan,
    expectations,
)

DOUBLE, SINGLE = torch.float64, torch.float32
BATCHES = (1, 7, 8, 9, 16, 17, 33)


def value_and_gradients(case: Case, dtype: torch.dtype = DOUBLE, rules: Rules | None = None):
    inputs = [each for each in inputs_of(case, dtype, wants_gradient=True) if each is not None]
    values = expectations(compile_plan(case.circuit, rules=rules), *inputs)
    cotangents = torch.linspace(-1, 1, values.numel(), dtype=dtype).reshape(values.shape)
    return [values.detach(), *torch.autograd.grad((values * cotangents).sum(), inputs)]


def encoder(n_qubits: int, layers: int, start: Start = Start.AMPLITUDES) -> Circuit:
    gates = [gate("RY", qubit, feature(qubit)) for qubit in range(n_qubits)]
    for layer, qubit in itertools.product(range(layers), range(n_qubits)):
        gates += [gate("ROT", qubit, *(Weight(3 * (layer * n_qubits + qubit) + i) for i in range(3)))]
        gates += [gate("CNOT", (qubit, (qubit + 1) % n_qubits))]
    return Circuit.of(n_qubits, gates, start=start)
