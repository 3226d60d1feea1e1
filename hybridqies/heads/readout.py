"""What heads share: seeded linear layers and the terms of a parameter count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hybridqies.circuit import Circuit, load_recipe
from hybridqies.errors import InputError
from hybridqies.heads.base import Term


def linear(n_inputs: int, n_outputs: int, generator: torch.Generator | None, gain: float = 1.0) -> nn.Linear:
    """A linear layer drawn from `generator`: uniform weights within gain / sqrt(inputs), zero bias."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs)
    bound = gain * n_inputs**-0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


def linear_term(what: str, layer: nn.Linear) -> Term:
    """(inputs + 1) * outputs."""
    formula = f"({layer.in_features} + 1) * {layer.out_features}"
    return Term(what, formula, (layer.in_features + 1) * layer.out_features)


def circuit_term(what: str, circuit: Circuit, recipe: str, options: Mapping[str, Any]) -> Term:
    """The recipe's closed formula with its options' values.

    If the recipe gives another number, the term is the number of the circuit's weights.
    """
    plain = Term(what, "weights of the circuit", circuit.n_weights)
    try:
        found = load_recipe(recipe)
        values = found.resolve(circuit.n_qubits, options)
        if found.n_weights(circuit.n_qubits, options) != circuit.n_weights:
            return plain
    except InputError:
        return plain
    stated = ", ".join(f"{name}={value}" for name, value in values.items() if name in found.weights)
    return Term(what, f"{found.weights} with {stated}", circuit.n_weights)
