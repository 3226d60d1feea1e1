"""A network that sees a board and gives a policy and a value, and what it is trained to lower."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hybridqies.ranks.connect_four import COLUMNS, SQUARES, Boards, find_open_columns
from hybridqies.selfplay.search import Evaluate, Floats
from hybridqies.training import Batch, Rows, SelectOn

_N_INPUTS = 2 * len(SQUARES)


class PolicyValueNet(nn.Module):
    """Planes (N, 84) to logits of columns (N, 7) and values (N,); width² + 94 · width + 8 parameters.

    A layer, a second one around which the first is added, and two readouts.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Linear(_N_INPUTS, width)
        self.second = nn.Linear(width, width)
        self.policy = nn.Linear(width, COLUMNS)
        self.value = nn.Linear(width, 1)
        self._draw(generator)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 7) and values (N,) between −1 and 1, of the player to move."""
        hidden = torch.relu(self.first(planes))
        hidden = hidden + torch.relu(self.second(hidden))
        return self.policy(hidden), torch.tanh(self.value(hidden)).squeeze(-1)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        for layer in (self.first, self.second, self.policy, self.value):
            bound = 1 / math.sqrt(layer.in_features)
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)


def count_parameters(width: int) -> int:
    """The closed formula of a network's parameters."""
    return width**2 + (_N_INPUTS + COLUMNS + 3) * width + COLUMNS + 1


def to_planes(own: Boards, filled: Boards) -> Tensor:
    """Boards as 0 and 1, (N, 84): the squares of the player to move, then those of the other."""
    both = np.stack([own, own ^ filled], axis=1)[:, :, None] >> SQUARES
    return torch.from_numpy((both & np.uint64(1)).reshape(len(own), -1).astype(np.float32))


def evaluate_with(net: PolicyValueNet) -> Evaluate:
    """The network as a search asks it."""

    @torch.inference_mode()
    def evaluate(own: Boards, filled: Boards) -> tuple[Floats, Floats]:
        logits, values = net(to_planes(own, filled))
        logits[torch.from_numpy(~find_open_columns(filled))] = -torch.inf
        return logits.softmax(1).double().numpy(), values.double().numpy()

    return evaluate


@dataclass(frozen=True, slots=True)
class PolicyValueMetrics:
    """Cross-entropy of the policy with the search's visits in nats, and mean squared error of the value."""

    policy: float
    value: float

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        """As JSON values, each name behind `prefix`."""
        return {f"{prefix}policy_loss": self.policy, f"{prefix}value_loss": self.value}

    def score(self, _rule: SelectOn, /) -> tuple[float, float]:
        """The lower both losses, the better."""
        return -(self.policy + self.value), -self.value


class PolicyValueLoss:
    """Both losses added, for labels (N, 8): shares of visits, and the result for the player to move."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean over the batch."""
        policy, value = _losses(model, batch)
        return policy + value

    def weight(self, batch: Batch) -> float:
        """The number of rows."""
        return float(len(batch))

    @torch.no_grad()
    def measure(self, model: nn.Module, rows: Rows, batch_size: int) -> PolicyValueMetrics:
        """Both losses over all rows."""
        sums = np.zeros(2)
        for part in torch.arange(len(rows)).split(batch_size):
            sums += len(part) * np.array([float(loss) for loss in _losses(model, rows[part])])
        policy, value = sums / len(rows)
        return PolicyValueMetrics(float(policy), float(value))

    def describe(self) -> Mapping[str, Any]:
        """Nothing can be chosen."""
        return {"objective": "policy and value"}


def _losses(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    logits, values = model(batch.inputs)
    policy = nn.functional.cross_entropy(logits, batch.labels[:, :COLUMNS])
    return policy, nn.functional.mse_loss(values, batch.labels[:, COLUMNS])
