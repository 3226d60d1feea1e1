"""Small decoders of every arm, with all weights set, so that no layer is still at zero."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridqies.lm import ARMS, Activation, Decoder, DecoderConfig, config_of_arm

VOCABULARY, CONTEXT = 11, 16


def config_of(arm: str, **settings: object) -> DecoderConfig:
    sizes = {"width": 8, "n_layers": 2, "n_heads": 2, "hidden": 12, "rank": 2, **settings}
    return config_of_arm(arm, 1, VOCABULARY, CONTEXT, sizes)


def make_decoder(arm: str, *, shaken: bool = True, **settings: object) -> Decoder:
    model = Decoder(config_of(arm, **settings), seed=3).double().eval()
    if shaken:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for values in model.parameters():
                values.add_(0.3 * torch.randn(values.shape, dtype=values.dtype, generator=generator))
    return model


def draw_ids(rows: int = 2, length: int = CONTEXT, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))


__all__ = ["ARMS", "CONTEXT", "VOCABULARY", "Activation", "config_of", "draw_ids", "make_decoder"]
