"""Circuits and the numbers they run on, the same at every call."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hybridqies.circuit import (
    GATES,
    Angle,
    Circuit,
    Constant,
    Gate,
    GateType,
    PauliString,
    Start,
    Weight,
    feature,
    gate,
)

DOUBLE = torch.float64
_SCALES = (1.0, -1.0, 2.0, 0.5, -1.25)


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """A circuit with features (B, F), weights (W,) or (B, W) and amplitudes (B, 2**n) or None."""

    circuit: Circuit
    features: Tensor
    weights: Tensor
    amplitudes: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """What a backend is given after the circuit."""
        return self.features, self.weights, self.amplitudes

    def leaves(self, *, of_amplitudes: bool = False) -> Case:
        """The same numbers as new tensors that want gradients; amplitudes only when asked for."""
        features, weights = (each.detach().clone().requires_grad_() for each in (self.features, self.weights))
        amplitudes = self.amplitudes
        if amplitudes is not None:
            amplitudes = amplitudes.detach().clone().requires_grad_(of_amplitudes)
        return replace(self, features=features, weights=weights, amplitudes=amplitudes)

    def to(self, dtype: torch.dtype) -> Case:
        """In another precision."""
        amplitudes = None if self.amplitudes is None else self.amplitudes.to(dtype)
        return replace(
            self, features=self.features.to(dtype), weights=self.weights.to(dtype), amplitudes=amplitudes
        )


def case_of(circuit: Circuit, seed: int = 0, *, batch: int = 3) -> Case:
    """`circuit` with numbers drawn from `seed`."""
    random = np.random.default_rng(seed)
    features, weights = (
        torch.from_numpy(random.uniform(-math.pi, math.pi, shape))
        for shape in ((batch, circuit.n_features), (circuit.n_weights,))
    )
    if circuit.start is Start.ZERO:
        return Case(circuit, features, weights)
    return Case(
        circuit, features, weights, torch.from_numpy(random.normal(size=(batch, circuit.n_amplitudes)))
    )


def random_case(seed: int, start: Start = Start.ZERO) -> Case:
    """Twelve gates of any kind on three qubits: features, their products, shared weights, constants."""
    random = np.random.default_rng(seed)
    gates = [_random_gate(random, kind) for kind in random.choice(np.array([*GATES.values()]), 12)]
    words = ["".join(random.choice([*"IXYZ"], 3)) for _ in range(4)]
    observables = tuple(map(PauliString.parse, ["ZII", *words]))
    circuit = Circuit(3, tuple(gates), observables, n_features=3, n_weights=4, start=start, name="random")
    return case_of(circuit, seed)


def _random_gate(random: np.random.Generator, kind: GateType) -> Gate:
    qubits = tuple(int(qubit) for qubit in random.permutation(3)[: kind.n_qubits])
    return Gate(kind, qubits, tuple(_random_angle(random) for _ in kind.angles))


def _random_angle(random: np.random.Generator) -> Angle:
    scale = float(random.choice(_SCALES))
    match random.integers(5):
        case 0:
            return Constant(float(random.uniform(-3, 3)))
        case 1 | 2:
            return Weight(int(random.integers(4)), scale)
        case _:
            count = int(random.integers(1, 3))
            return feature(*(int(at) for at in random.integers(0, 3, count)), scale=scale)


def gate_case(name: str) -> Case:
    """One gate on two entangled qubits, read in all three bases; its angles are a feature, a weight, both."""
    kind = GATES[name]
    angles: tuple[Angle, ...] = (feature(0), Weight(0, 0.5), feature(0, 1, scale=-1.0))
    before = [gate("RY", 0, 0.7), gate("RX", 1, 1.1), gate("CNOT", (0, 1)), gate("RZ", 0, 0.4)]
    placed = Gate(kind, (1, 0)[: kind.n_qubits], angles[: len(kind.angles)])
    words = ("XI", "IX", "YI", "IY", "ZI", "IZ", "ZZ", "XY")
    circuit = Circuit(2, (*before, placed), tuple(map(PauliString.parse, words)), 2, 1, name=name)
    return case_of(circuit, 5, batch=2)


def product_state(n_qubits: int = 2) -> Circuit:
    """RY(feature) on each qubit, read in Z: expectations are the cosines."""
    return Circuit.of(
        n_qubits, [gate("RY", qubit, feature(qubit)) for qubit in range(n_qubits)], name="product"
    )


def product_parity(n_qubits: int) -> Circuit:
    """RX on each qubit by one shared weight, read in the product of all Zs, which needs every qubit."""
    gates = [gate("RX", qubit, Weight(0)) for qubit in range(n_qubits)]
    return Circuit.of(n_qubits, gates, [PauliString.on("Z", *range(n_qubits))], name="product-parity")


def twins() -> Circuit:
    """Two qubits that always agree, by an angle from |00> to |11>; read in Z0, Z1, Z0 Z1 and X0."""
    gates = [gate("RY", 0, feature(0)), gate("CNOT", (0, 1))]
    words = ("ZI", "IZ", "ZZ", "XI")
    return Circuit.of(2, gates, map(PauliString.parse, words), name="twins")


def from_amplitudes() -> Circuit:
    """Four amplitudes, one feature, one weight."""
    gates = [gate("RY", 0, feature(0)), gate("CRX", (0, 1), Weight(0))]
    return Circuit.of(2, gates, start=Start.AMPLITUDES, name="amplitudes")
