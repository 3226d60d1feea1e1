"""How entangled the circuits of a run are on its own texts: with trained weights, and as they began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from hybridqies.backends import QuantumLayer
from hybridqies.backends.registry import DEFAULT_BACKEND
from hybridqies.circuit import Circuit, Start
from hybridqies.diagnostics import (
    WIDEST_STATE,
    meyer_wallach,
    random_entropy,
    random_meyer_wallach,
    schmidt_spectrum,
    von_neumann_entropy,
)
from hybridqies.errors import InputError
from hybridqies.heads.base import Head
from hybridqies.runs.assembly import prepare
from hybridqies.runs.folder import recorded_config
from hybridqies.saved_model import load_model
from hybridqies.training.loop import adapt

ROWS = 64
"""Validation texts that circuits are measured on."""
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


def diagnose_training(folder: Path) -> list[LayerRow]:
    """Measures every circuit of a finished run on validation texts, before and after its training.

    The states are exact, also where the run had shots or noise.

    Raises
    ------
    ModelFolderError: the folder holds no finished run.
    InputError: its head has no circuit, or one of too many or too few qubits, or its encoder was tuned.
    """
    config = recorded_config(folder)
    if config.tuning:
        raise InputError(
            f"the encoder of {str(folder)!r} was tuned",
            expected="a run with a frozen encoder: the embeddings that training began with are gone",
        )
    trained = load_model(folder, backend=DEFAULT_BACKEND).head
    prepared = prepare(replace(config, compare=(), backend=DEFAULT_BACKEND))
    layers = _circuit_layers(trained)
    if not layers:
        raise InputError(
            f"head {config.head!r} of {str(folder)!r} runs no circuit", expected="a run of a head with one"
        )
    for layer in layers.values():
        _check_width(layer.circuit)
    rows = prepared.rows(prepared.arm)
    adapt(prepared.arm.model, rows.train)
    inputs = rows.validation.inputs[:ROWS]
    before, after = (_measure(head, inputs) for head in (prepared.arm.head, trained))
    return [_row(key, layers[key[0]].circuit, before[key], after[key]) for key in after]


def _check_width(circuit: Circuit) -> None:
    if not 2 <= circuit.n_qubits <= WIDEST_STATE:
        raise InputError(
            f"circuit {circuit.name!r} has {circuit.n_qubits} qubit(s)", expected=f"2 to {WIDEST_STATE}"
        )


def _circuit_layers(head: Head) -> dict[str, QuantumLayer]:
    return {name: each for name, each in head.named_modules() if isinstance(each, QuantumLayer)}


_Key = tuple[str, int, int]


def _measure(head: Head, embeddings: Tensor) -> dict[_Key, Entangled]:
    """By layer, copy and number of gates."""
    taken: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: taken.setdefault(name, given[0]))
        for name, layer in _circuit_layers(head).items()
    ]
    head.eval()
    try:
        with torch.no_grad():
            head(embeddings)
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, layer in _circuit_layers(head).items():
        for copy, inputs, weights in _copies(layer, taken[name]):
            for part in _prefixes(layer.circuit):
                states = _states(layer, part, inputs, weights)
                found[name, copy, len(part.gates)] = _entangled(states)
    return found


def _copies(layer: QuantumLayer, inputs: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    weights = layer.weights.detach()
    if layer.copies is None:
        yield 0, inputs.reshape(-1, layer.circuit.n_inputs), weights
        return
    for copy in range(layer.copies):
        yield copy, inputs[..., copy, :].reshape(-1, layer.circuit.n_inputs), weights[copy]


def _prefixes(circuit: Circuit) -> list[Circuit]:
    n_gates = len(circuit.gates)
    ends = sorted({max(1, round(n_gates * cut / _CUTS)) for cut in range(1, _CUTS + 1)})
    return [replace(circuit, gates=circuit.gates[:end]) for end in ends]


def _states(layer: QuantumLayer, circuit: Circuit, inputs: Tensor, weights: Tensor) -> Tensor:
    weights = weights.to(inputs.dtype)
    if circuit.start is Start.ZERO:
        return layer.backend.states(circuit, inputs, weights)
    amplitudes, features = inputs.split([circuit.n_amplitudes, circuit.n_features], dim=1)
    return layer.backend.states(circuit, features, weights, amplitudes)


def _entangled(states: Tensor) -> Entangled:
    cut = (states.shape[-1].bit_length() - 1) // 2
    entropy = von_neumann_entropy(schmidt_spectrum(states, cut))
    return Entangled(float(meyer_wallach(states).mean()), abs(float(entropy.mean())))


def _row(key: _Key, circuit: Circuit, before: Entangled, after: Entangled) -> LayerRow:
    n_qubits = circuit.n_qubits
    random = Entangled(random_meyer_wallach(n_qubits), random_entropy(n_qubits // 2, n_qubits))
    name, copy, gates = key
    return LayerRow(name, copy, n_qubits, gates, len(circuit.gates), before, after, random)
