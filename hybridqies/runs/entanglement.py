"""How entangled the circuits of a head are on texts: with trained weights, and as they began."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from hybridqies.backends import QuantumLayer
from hybridqies.circuit import Circuit
from hybridqies.diagnostics import (
    meyer_wallach,
    random_entropy,
    random_meyer_wallach,
    schmidt_spectrum,
    von_neumann_entropy,
)
from hybridqies.heads.base import Head
from hybridqies.runs.circuit_layers import circuit_layers, split_copies, split_inputs, take_inputs

_CUTS = 4
"""Places in a circuit where its state is measured, evenly spaced, the last one its end."""


@dataclass(frozen=True, slots=True)
class Entangled:
    """Means over texts: Meyer and Wallach's Q, and the entropy of half the qubits in bits."""

    meyer_wallach: float
    entropy: float


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A circuit of the head, after its first `gates` of `all_gates`, on states of the run's texts.

    `copy` counts circuits side by side from 0; `random` is what Haar-random states have.
    """

    layer: str
    copy: int
    n_qubits: int
    gates: int
    all_gates: int
    before: Entangled
    after: Entangled
    random: Entangled


def measure_entanglement(untrained: Head, trained: Head, embeddings: Tensor) -> list[LayerRow]:
    """A row for each circuit, copy and part of it, on embeddings (B, D) of texts; states are exact."""
    before, after = (_measure(head, embeddings) for head in (untrained, trained))
    layers = circuit_layers(trained)
    return [_row(key, layers[key[0]].circuit, before[key], after[key]) for key in after]


_Key = tuple[str, int, int]


def _measure(head: Head, embeddings: Tensor) -> dict[_Key, Entangled]:
    """By layer, copy and number of gates."""
    taken, found = take_inputs(head, embeddings), {}
    for name, layer in circuit_layers(head).items():
        for copy, inputs, weights in split_copies(layer, taken[name]):
            for part in _prefixes(layer.circuit):
                states = _states(layer, part, inputs, weights)
                found[name, copy, len(part.gates)] = _entangled(states)
    return found


def _prefixes(circuit: Circuit) -> list[Circuit]:
    n_gates = len(circuit.gates)
    ends = sorted({max(1, round(n_gates * cut / _CUTS)) for cut in range(1, _CUTS + 1)})
    return [replace(circuit, gates=circuit.gates[:end]) for end in ends]


def _states(layer: QuantumLayer, circuit: Circuit, inputs: Tensor, weights: Tensor) -> Tensor:
    features, amplitudes = split_inputs(circuit, inputs)
    return layer.backend.states(circuit, features, weights.to(inputs.dtype), amplitudes)


def _entangled(states: Tensor) -> Entangled:
    cut = (states.shape[-1].bit_length() - 1) // 2
    entropy = von_neumann_entropy(schmidt_spectrum(states, cut))
    return Entangled(float(meyer_wallach(states).mean()), abs(float(entropy.mean())))


def _row(key: _Key, circuit: Circuit, before: Entangled, after: Entangled) -> LayerRow:
    n_qubits = circuit.n_qubits
    random = Entangled(random_meyer_wallach(n_qubits), random_entropy(n_qubits // 2, n_qubits))
    name, copy, gates = key
    return LayerRow(name, copy, n_qubits, gates, len(circuit.gates), before, after, random)
