"""How large the gradients of the circuits of a head are: with random angles, and with its own on texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hybridqies.circuit import Circuit
from hybridqies.diagnostics import (
    GradientVariance,
    measure_square,
    measure_variance,
    random_variance,
)
from hybridqies.diagnostics.gradients import Inputs, differentiate, draw_inputs, rows_at_once
from hybridqies.heads.base import Head
from hybridqies.runs.circuit_layers import circuit_layers, split_copies, split_inputs, take_inputs


@dataclass(frozen=True, slots=True)
class GradientRow:
    """The derivatives of one observable of a circuit by its weights.

    `random` is their variance over random angles; `before` and `after` are their mean squares on texts with
    the weights that training began and ended with. All three are means over the weights that move the
    observable, and None where no weight does. `two_design` is the variance in a circuit that is random
    before and after the weight.
    """

    layer: str
    circuit: str
    observable: str
    n_qubits: int
    n_weights: int
    random: GradientVariance | None
    before: GradientVariance | None
    after: GradientVariance | None
    two_design: float


def measure_gradients(
    untrained: Head, trained: Head, embeddings: Tensor, samples: int, seed: int
) -> list[GradientRow]:
    """A row for each observable of each circuit that has weights, on embeddings (B, D) of texts.

    Random angles are drawn `samples` times. Circuits side by side share the texts among them, so that their
    number does not make it longer. Expectations are exact, in double precision.
    """
    before, after = (list(_texts(head, embeddings)) for head in (untrained, trained))
    rows = []
    for (name, circuit, began), (*_, ended) in zip(before, after, strict=True):
        for at, observable in enumerate(circuit.observables):
            drawn = differentiate(circuit, at, draw_inputs(circuit, seed, samples))
            rows.append(
                GradientRow(
                    name,
                    circuit.name,
                    str(observable),
                    circuit.n_qubits,
                    circuit.n_weights,
                    measure_variance(drawn),
                    measure_square(differentiate(circuit, at, began)),
                    measure_square(differentiate(circuit, at, ended)),
                    random_variance(circuit.n_qubits),
                )
            )
    return rows


def _texts(head: Head, embeddings: Tensor) -> Iterator[tuple[str, Circuit, list[Inputs]]]:
    """Each circuit with weights, and what it is given for the texts, with its weights, a part at a time."""
    taken = take_inputs(head, embeddings)
    for name, layer in circuit_layers(head).items():
        if layer.circuit.n_weights:
            rows = max(1, len(embeddings) // (layer.copies or 1))
            parts = [
                part
                for _, inputs, weights in split_copies(layer, taken[name])
                for part in _parts(layer.circuit, inputs[:rows].double(), weights.double())
            ]
            yield name, layer.circuit, parts


def _parts(circuit: Circuit, inputs: Tensor, weights: Tensor) -> Iterator[Inputs]:
    for some in torch.split(inputs, rows_at_once(circuit.n_qubits)):
        features, amplitudes = split_inputs(circuit, some)
        yield features, weights.repeat(len(some), 1), amplitudes
