"""Entanglement and loss of every token of windows and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.lm import Decoder, map_entanglement
from hybridqies.training import token_losses
from hybridqies.training.prediction import evaluating

ROWS = 16
"""Windows that are read at once."""


def window_losses(model: Decoder, windows: Tensor) -> Tensor:
    """The loss of each token but the first, (N, T − 1) in nats and double precision, of windows (N, T)."""
    device = model.embedding.weight.device
    with evaluating(model):
        parts = [token_losses(model, part.to(device)).double().cpu() for part in windows.split(ROWS)]
    return torch.cat(parts)


def map_windows(model: Decoder, windows: Tensor) -> Tensor:
    """S₂ / log r by block, stride, window and position, (L, H, N, T); NaN before position `stride`.

    Raises
    ------
    InputError: the decoder has no gates.
    """
    device = model.embedding.weight.device
    with evaluating(model):
        parts = [map_entanglement(model, part.to(device)).cpu() for part in windows.split(ROWS)]
    return torch.cat(parts, 2)


@dataclass(frozen=True, slots=True)
class SentenceMap:
    """A sentence by its tokens, with the loss (T) and S₂ / log r (L, H, T) of each; None where there is none.

    The first token has no loss, and a stride has no entanglement before its own position.
    """

    tokens: tuple[str, ...]
    losses: tuple[float | None, ...]
    levels: tuple[tuple[tuple[float | None, ...], ...], ...]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        levels = [[list(row) for row in block] for block in self.levels]
        return {"tokens": list(self.tokens), "losses": list(self.losses), "levels": levels}


def map_sentence(model: Decoder, ids: Sequence[int], tokens: Sequence[str]) -> SentenceMap:
    """The map of one sentence of T ≥ 2 tokens, given as ids and as texts; it is read alone.

    Raises
    ------
    InputError: fewer tokens, more than the context, or a decoder without gates.
    """
    if len(ids) < 2:
        raise InputError(f"a sentence of {len(ids)} tokens was given", expected="at least 2 tokens")
    window = torch.tensor(ids)[None]
    levels = map_windows(model, window)[:, :, 0]
    losses = window_losses(model, window)[0].tolist()
    known = [[tuple(_known(row)) for row in block] for block in levels.tolist()]
    return SentenceMap(tuple(tokens), (None, *losses), tuple(tuple(block) for block in known))


def _known(values: Sequence[float]) -> list[float | None]:
    return [None if value != value else value for value in values]
