"""Causal language modelling: windows of tokens as rows, and the loss of each next token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridqies.training.config import SelectOn
from hybridqies.training.numerics import device_of
from hybridqies.training.prediction import evaluating, slices
from hybridqies.training.rows import Batch, digest_tensor


@dataclass(frozen=True)
class Windows:
    """Rows of token ids (N, T); each token but the first of a row is to be predicted from those before it."""

    ids: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Tensor | slice, /) -> Batch:
        return Batch(self.ids[rows], self.ids[rows])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the tokens."""
        return digest_tensor(self.ids)


@dataclass(frozen=True, slots=True)
class TokenMetrics:
    """The mean loss of a token in nats, and how many are the likeliest to the model."""

    loss: float
    accuracy: float

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        """As JSON values, each name behind `prefix`."""
        return {prefix + name: value for name, value in asdict(self).items()}

    def score(self, rule: SelectOn, /) -> tuple[float, float]:
        """What the kept epoch has the most of."""
        return (self.accuracy if rule is SelectOn.ACCURACY else -self.loss), -self.loss


@dataclass(frozen=True)
class NextToken:
    """Cross-entropy of each next token, for models from ids (B, T) to logits (B, T, V) or `.logits`."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean over all tokens of the batch that have one before them."""
        return token_losses(model, batch.inputs).mean()

    def weight(self, batch: Batch) -> float:
        """The number of these tokens."""
        return float(batch.inputs[:, 1:].numel())

    def measure(self, model: nn.Module, rows: Windows, batch_size: int) -> TokenMetrics:
        """Loss and accuracy over all tokens of all rows."""
        loss, right, device = 0.0, 0, device_of(model)
        with evaluating(model):
            for part in slices(len(rows), batch_size):
                ids = rows.ids[part].to(device)
                logits = _next_logits(model, ids)
                loss += float(functional.cross_entropy(logits.mT, ids[:, 1:], reduction="sum"))
                right += int((logits.argmax(-1) == ids[:, 1:]).sum())
        count = self.weight(rows[slice(None)])
        return TokenMetrics(loss / count, right / count)

    def describe(self) -> Mapping[str, Any]:
        """There is nothing to choose."""
        return {"objective": "next token"}


def token_losses(model: nn.Module, ids: Tensor) -> Tensor:
    """The loss of each token but the first, from ids (B, T) to (B, T − 1), in nats."""
    return functional.cross_entropy(_next_logits(model, ids).mT, ids[:, 1:], reduction="none")


def _next_logits(model: nn.Module, ids: Tensor) -> Tensor:
    """Logits (B, T − 1, V) of the tokens that follow, in single precision or better."""
    answer: Any = model(ids)
    logits: Tensor = getattr(answer, "logits", answer)[:, :-1]
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
