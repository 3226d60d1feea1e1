"""The circuits of several heads of one architecture in one call of their backend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hybridqies.backends.layer import QuantumLayer


class StackedQuantumLayer(QuantumLayer):
    """`layers` of S heads side by side: inputs (S * B, ..., F) in, head after head, (S * B, ..., M) out.

    Its `weights` are (S, W), or (S, copies, W). Every sample is a row of its own with its head's row of
    weights. The native simulator gives a row the same bits whatever other rows it is run with.
    """

    def __init__(self, layers: Sequence[QuantumLayer]) -> None:
        nn.Module.__init__(self)
        first = layers[0]
        self.circuit, self.copies, self.backend = first.circuit, first.copies, first.backend
        self.weights = joined([layer.weights for layer in layers])

    def forward(self, inputs: Tensor) -> Tensor:
        """Expectations of every sample of every head."""
        leading, heads = inputs.shape[:-1], len(self.weights)
        each = self.weights[:, None].expand(-1, leading[0] // heads, *self.weights.shape[1:])
        count = math.prod(leading)
        rows = inputs.reshape(count, self.circuit.n_inputs)
        values = self._of_rows(rows, each.reshape(count, self.circuit.n_weights))
        return values.reshape(*leading, values.shape[-1])


def joined(parameters: Sequence[Tensor]) -> nn.Parameter:
    """One parameter (S, ...) of the same one of S heads, frozen where theirs is."""
    values = torch.stack([each.detach() for each in parameters])
    return nn.Parameter(values, requires_grad=parameters[0].requires_grad)
