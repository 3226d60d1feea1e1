"""Causal language modelling: windows of tokens as rows, and the loss of each next token."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridqies.errors import InputError
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


@dataclass(frozen=True)
class TokenStream:
    """Windows of `width` tokens of a long text (n,), in each epoch the next `n_windows` of them.

    Behind the last token the text begins again, with other windows unless n is a multiple of the width.

    Raises
    ------
    InputError: no windows, windows without a next token, or a text shorter than one.
    """

    ids: Tensor
    width: int
    n_windows: int

    def __post_init__(self) -> None:
        if self.n_windows < 1 or not 2 <= self.width <= len(self.ids):
            raise InputError(
                f"{self.n_windows} windows of {self.width} tokens were to be cut from {len(self.ids)}",
                expected="at least one window of at least 2 tokens, and a text as long",
            )

    def __len__(self) -> int:
        return self.n_windows

    def __getitem__(self, rows: Tensor | slice, /) -> Batch:
        return self.of_epoch(0)[rows]

    def of_epoch(self, epoch: int) -> Windows:
        """The windows of an epoch, counted from 0."""
        count = self.n_windows * self.width
        places = (epoch * count + torch.arange(count)) % len(self.ids)
        return Windows(self.ids[places].reshape(self.n_windows, self.width))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the tokens and how they are cut."""
        cut = f"{digest_tensor(self.ids)}\0{self.width}\0{self.n_windows}"
        return hashlib.sha256(cut.encode()).hexdigest()


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
    answer: Any = model(ids)
    return next_token_losses(getattr(answer, "logits", answer), ids)


def next_token_losses(logits: Tensor, ids: Tensor) -> Tensor:
    """The same from logits (B, T, V), in single precision or better."""
    return functional.cross_entropy(_precise(logits[:, :-1]).mT, ids[:, 1:], reduction="none")


def _next_logits(model: nn.Module, ids: Tensor) -> Tensor:
    """Logits (B, T − 1, V) of the tokens that follow, in single precision or better."""
    answer: Any = model(ids)
    return _precise(getattr(answer, "logits", answer)[:, :-1])


def _precise(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
