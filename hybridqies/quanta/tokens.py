"""Tokens of a text as samples of a language model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.training import token_losses
from hybridqies.training.numerics import device_of
from hybridqies.training.prediction import evaluating


@dataclass(frozen=True, slots=True, eq=False)
class TokenSamples:
    """N tokens that a model predicts: token `places` (N,) of the windows `rows` (N,) of `windows` (W, T)."""

    model: nn.Module
    windows: Tensor
    rows: Tensor
    places: Tensor
    losses: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def loss_of(self, number: int) -> Tensor:
        """The loss of one token, which depends on the tokens before it alone."""
        place = int(self.places[number])
        ids = self.windows[self.rows[number], : place + 1]
        return token_losses(self.model, ids[None].to(device_of(self.model)))[0, -1]

    def context_of(self, number: int) -> tuple[list[int], int]:
        """The tokens before it, and the token."""
        ids = self.windows[self.rows[number], : int(self.places[number]) + 1].tolist()
        return ids[:-1], ids[-1]


def choose_tokens(
    model: nn.Module,
    windows: Tensor,
    n_samples: int,
    *,
    below: float = 0.5,
    seed: int = 0,
    batch_size: int = 32,
) -> TokenSamples:
    """Tokens that the model predicts with a loss < `below`, drawn from all but the first of windows (W, T).

    The paper takes tokens below 0.1 nats, because a skill shows where it is in use.

    Raises
    ------
    InputError: fewer such tokens than samples.
    """
    with evaluating(model):
        parts = [token_losses(model, part.to(device_of(model))).cpu() for part in windows.split(batch_size)]
    losses = torch.cat(parts)
    known = torch.nonzero(losses < below)
    if not 2 <= n_samples <= len(known):
        raise InputError(
            f"{n_samples} tokens with a loss below {below:g} nats were asked for",
            expected=f"2 to {len(known)}, of which there are so many in {losses.numel():,} tokens",
            todo="read more windows, or raise the loss",
        )
    generator = torch.Generator().manual_seed(seed)
    rows, places = known[torch.randperm(len(known), generator=generator)[:n_samples]].T
    return TokenSamples(model, windows, rows, places + 1, losses[rows, places])
