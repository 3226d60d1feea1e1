"""The circuits of a head, with what each is given when the head reads embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from hybridqies.backends import QuantumLayer
from hybridqies.circuit import Circuit, Start
from hybridqies.heads.base import Head


def circuit_layers(head: Head) -> dict[str, QuantumLayer]:
    """Its layers that run a circuit, by their names."""
    return {name: each for name, each in head.named_modules() if isinstance(each, QuantumLayer)}


def take_inputs(head: Head, embeddings: Tensor) -> Mapping[str, Tensor]:
    """What each of its circuits is given, by the layer's name, when the head reads embeddings (B, D)."""
    taken: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: taken.setdefault(name, given[0]))
        for name, layer in circuit_layers(head).items()
    ]
    head.eval()
    try:
        with torch.no_grad():
            head(embeddings)
    finally:
        for hook in hooks:
            hook.remove()
    return taken


def split_copies(layer: QuantumLayer, inputs: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Each copy of the layer's circuit, from 0, with its inputs (B, N) and its weights (W,)."""
    weights = layer.weights.detach()
    if layer.copies is None:
        yield 0, inputs.reshape(-1, layer.circuit.n_inputs), weights
        return
    for copy in range(layer.copies):
        yield copy, inputs[..., copy, :].reshape(-1, layer.circuit.n_inputs), weights[copy]


def split_inputs(circuit: Circuit, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Features (B, F) and amplitudes (B, A) of inputs (B, N); a circuit that starts from zero has none."""
    if circuit.start is Start.ZERO:
        return inputs, None
    amplitudes, features = inputs.split([circuit.n_amplitudes, circuit.n_features], dim=1)
    return features, amplitudes
