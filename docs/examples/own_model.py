"""A model, rows and an objective of your own: a small language model that learns to count.

python own_model.py runs/counting
torchrun --nproc-per-node 2 own_model.py runs/counting
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.training import Batch, Outcome, SelectOn, TrainingConfig, fit, join_processes
from hybridqies.training.prediction import evaluating, slices
from hybridqies.training.rows import digest_tensor


class CountingModel(nn.Module):
    """Token numbers (B, T) to the logits (B, T, 10) of the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 16)
        self.body = nn.GRU(16, 16, batch_first=True)
        self.readout = nn.Linear(16, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the token that follows each."""
        logits: Tensor = self.readout(self.body(self.embedding(tokens))[0])
        return logits


@dataclass(frozen=True)
class Sequences:
    """Rows of tokens (N, T); the target is the next token."""

    tokens: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        tokens = self.tokens[rows]
        return Batch(tokens[:, :-1], tokens[:, 1:])

    @property
    def fingerprint(self) -> str:
        """A digest of the tokens."""
        return digest_tensor(self.tokens)


@dataclass(frozen=True)
class TokenLoss:
    """The mean loss of a token."""

    loss: float

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        """One number."""
        return {f"{prefix}loss": self.loss}

    def score(self, _: SelectOn) -> tuple[float, float]:
        """The lower the loss, the better, by every rule."""
        return -self.loss, -self.loss


class NextToken:
    """Cross-entropy of the next token."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean over all tokens."""
        return nn.functional.cross_entropy(model(batch.inputs).flatten(0, 1), batch.labels.flatten())

    def weight(self, batch: Batch) -> float:
        """The number of tokens."""
        return float(batch.labels.numel())

    def measure(self, model: nn.Module, rows: Sequences, batch_size: int) -> TokenLoss:
        """The mean over all tokens of all rows."""
        total = 0.0
        with evaluating(model):
            for part in slices(len(rows), batch_size):
                total += float(self.loss(model, rows[part])) * self.weight(rows[part])
        return TokenLoss(total / self.weight(rows[slice(None)]))

    def describe(self) -> Mapping[str, Any]:
        """There is nothing to choose."""
        return {"objective": "next token"}


def train(folder: Path) -> Outcome:
    """Trains a model, or resumes an interrupted training."""
    draw = torch.Generator().manual_seed(0)
    counting = (torch.randint(10, (300, 1), generator=draw) + torch.arange(8)) % 10
    torch.manual_seed(0)
    config = TrainingConfig(epochs=5, learning_rate=0.02)
    training, validation = Sequences(counting[:250]), Sequences(counting[250:])
    return fit(CountingModel(), training, validation, NextToken(), config, folder=folder, resume=True)


if __name__ == "__main__":
    with join_processes():
        outcome = train(Path(sys.argv[1]))
    sys.stdout.write(f"{outcome.history[-1]}\n")
