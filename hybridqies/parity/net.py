"""One hidden ReLU layer on a one-hot task and bits; the one-hot part is a table look-up."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hybridqies.parity.problem import ParityProblem


class ParityNet(nn.Module):
    """{"task": (B,), "bits": (B, n)} to logits (B, 2), with (n_tasks + n + 3) · width + 2 parameters."""

    def __init__(self, problem: ParityProblem, width: int, generator: torch.Generator) -> None:
        super().__init__()
        n_inputs = problem.n_tasks + problem.n_bits
        self.tasks = nn.Embedding(problem.n_tasks, width)
        self.bits = nn.Linear(problem.n_bits, width)
        self.readout = nn.Linear(width, 2)
        self._draw(n_inputs, generator)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, 2) of even and odd."""
        hidden = torch.relu(self.tasks(inputs["task"]) + self.bits(inputs["bits"]))
        logits: Tensor = self.readout(hidden)
        return logits

    @torch.no_grad()
    def _draw(self, n_inputs: int, generator: torch.Generator) -> None:
        """As one linear layer on all inputs would be drawn."""
        first, second = 1 / math.sqrt(n_inputs), 1 / math.sqrt(self.readout.in_features)
        for parameter in (self.tasks.weight, self.bits.weight, self.bits.bias):
            parameter.uniform_(-first, first, generator=generator)
        for parameter in (self.readout.weight, self.readout.bias):
            parameter.uniform_(-second, second, generator=generator)


def count_parameters(problem: ParityProblem, width: int) -> int:
    """The closed formula of a net's parameters."""
    return (problem.n_tasks + problem.n_bits + 3) * width + 2
