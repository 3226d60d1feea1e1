"""Hypothesis strategies that tests share: random circuits over the whole gate set, and values for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from hybridqies.circuit import (
    GATES,
    Angle,
    Circuit,
    Constant,
    Feature,
    Gate,
    GateType,
    PauliString,
    Start,
    Weight,
)

SCALES = (1.0, 1.0, -1.0, 2.0, 0.5, -1.25, math.pi, 0.1)
CONSTANTS = (0.0, math.pi, -math.pi / 2, math.pi / 4, 0.3, -2.7, 1e-3)


@dataclass(frozen=True)
class Case:
    """A circuit and what it runs on: features (B, F), weights (W,), amplitudes (B, 2**n) or None."""

    circuit: Circuit
    features: np.ndarray
    weights: np.ndarray
    amplitudes: np.ndarray | None


def angles(n_features: int = 4, n_weights: int = 6, max_factors: int = 3) -> st.SearchStrategy[Angle]:
    """A scaled feature or product of features, a scaled weight, or a constant; a count of 0 leaves it out."""
    scales = st.sampled_from(SCALES)
    kinds: list[st.SearchStrategy[Angle]] = [st.builds(Constant, st.sampled_from(CONSTANTS))]
    if n_weights:
        kinds.append(st.builds(Weight, st.integers(0, n_weights - 1), scales))
    if n_features:
        indices = st.lists(st.integers(0, n_features - 1), min_size=1, max_size=max_factors).map(tuple)
        kinds.append(st.builds(Feature, indices, scales))
    return st.one_of(kinds)


@st.composite
def gates(
    draw: st.DrawFn, n_qubits: int, kinds: Sequence[GateType], of_angle: st.SearchStrategy[Angle]
) -> Gate:
    """One gate out of `kinds` on any qubits, in any order."""
    kind = draw(st.sampled_from([each for each in kinds if each.n_qubits <= n_qubits]))
    qubits = draw(st.permutations(range(n_qubits)))[: kind.n_qubits]
    return Gate(kind, tuple(qubits), tuple(draw(of_angle) for _ in kind.angles))


def pauli_strings(n_qubits: int) -> st.SearchStrategy[PauliString]:
    """Any Pauli string but the identity."""
    letters = st.text("IXYZ", min_size=n_qubits, max_size=n_qubits)
    return letters.filter(lambda word: set(word) != {"I"}).map(PauliString.parse)


@st.composite
def circuits(
    draw: st.DrawFn,
    max_qubits: int = 5,
    *,
    min_qubits: int = 1,
    max_gates: int = 14,
    n_features: int = 4,
    n_weights: int = 6,
    max_factors: int = 3,
    starts: Sequence[Start] = (Start.ZERO, Start.AMPLITUDES),
    kinds: Sequence[GateType] = tuple(GATES.values()),
) -> Circuit:
    """A random circuit over `kinds`, by default the whole gate set; few weights, so that many are shared."""
    n_qubits = draw(st.integers(min_qubits, max_qubits))
    one = gates(n_qubits, kinds, angles(n_features, n_weights, max_factors))
    n_gates = draw(st.integers(1, max_gates))
    return Circuit.of(
        n_qubits,
        draw(st.lists(one, min_size=n_gates, max_size=n_gates)),
        draw(st.lists(pauli_strings(n_qubits), min_size=1, max_size=4)),
        start=draw(st.sampled_from(starts)),
        name="random",
    )


@st.composite
def cases(
    draw: st.DrawFn,
    of_circuit: st.SearchStrategy[Circuit] | None = None,
    *,
    batch: int = 2,
    complex_amplitudes: bool = False,
) -> Case:
    """A circuit with random values; amplitudes are normalised."""
    circuit = draw(circuits() if of_circuit is None else of_circuit)
    return case_of(
        circuit, draw(st.integers(0, 2**32 - 1)), batch=batch, complex_amplitudes=complex_amplitudes
    )


def case_of(circuit: Circuit, seed: int, *, batch: int = 2, complex_amplitudes: bool = False) -> Case:
    """`circuit` with values drawn from `seed`."""
    random = np.random.default_rng(seed)
    amplitudes = None
    if circuit.start is Start.AMPLITUDES:
        amplitudes = random.normal(size=(batch, circuit.n_amplitudes))
        if complex_amplitudes:
            amplitudes = amplitudes + 1j * random.normal(size=amplitudes.shape)
        amplitudes = amplitudes / np.linalg.norm(amplitudes, axis=1, keepdims=True)
    return Case(
        circuit,
        features=random.uniform(-math.pi, math.pi, size=(batch, circuit.n_features)),
        weights=random.uniform(-math.pi, math.pi, size=circuit.n_weights),
        amplitudes=amplitudes,
    )


def every_gate(n_qubits: int = 3) -> Circuit:
    """One fixed circuit with every gate of the set, every kind of angle, and observables of all letters."""
    laid: list[Gate] = []
    for at, kind in enumerate(GATES.values()):
        kinds: tuple[Angle, ...] = (Feature((at % 3,), 0.5), Weight(at % 5, -1.5), Constant(0.1 * at))
        qubits = tuple((at + offset) % n_qubits for offset in range(kind.n_qubits))
        laid.append(Gate(kind, qubits, tuple(kinds[(at + i) % 3] for i in range(len(kind.angles)))))
    laid.insert(0, Gate(GATES["RZZ"], (0, n_qubits - 1), (Feature((0, 1), 2.0),)))
    laid.insert(0, Gate(GATES["H"], (n_qubits - 1,)))
    strings = ["X" + "I" * (n_qubits - 1), "I" * (n_qubits - 1) + "Y", "Z" * n_qubits]
    return Circuit.of(n_qubits, laid, [PauliString.parse(letters) for letters in strings], name="every-gate")
