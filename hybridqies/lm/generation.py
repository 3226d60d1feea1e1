"""Continuing a text token by token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hybridqies.errors import InputError
from hybridqies.lm.decoder import Cache, Decoder


def generate_ids(
    model: Decoder, ids: Sequence[int], count: int, *, temperature: float = 1.0, seed: int = 0
) -> list[int]:
    """`count` ids that follow `ids`; a `temperature` of 0 takes the likeliest each time.

    The model sees as many of the last tokens as fit into its context. Where that is full, it forgets all
    but the last half and reads those again.

    Raises
    ------
    InputError: no ids, a negative count, or a temperature that is none.
    """
    if not ids:
        raise InputError("generation was given no tokens", expected="a beginning to continue")
    if count < 0:
        raise InputError(f"generation was given a count of {count}", expected="0 or more tokens")
    if not 0 <= temperature < float("inf"):
        raise InputError(f"generation was given temperature {temperature}", expected="0 or more")
    device = model.embedding.weight.device
    generator, known = torch.Generator().manual_seed(seed), list(ids)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        cache, unread = Cache(), known[-model.config.context :]
        for _ in range(count):
            logits = model(torch.tensor([unread], device=device), cache=cache)[0, -1]
            unread = [_choose(logits.cpu(), temperature, generator)]
            known += unread
            if cache.length == model.config.context:
                cache, unread = Cache(), known[-max(1, model.config.context // 2) :]
    model.train(was_training)
    return known[len(ids) :]


def _choose(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    # The largest is 0, which no temperature makes infinite.
    precise = logits.double()
    shares = torch.softmax((precise - precise.max()) / temperature, -1)
    return int(torch.multinomial(shares, 1, generator=generator))
