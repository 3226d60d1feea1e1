"""Small models that are scored, and one that knows its text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hybridqies.language_model import LanguageModel

TEXT = "to be, or not to be,\nthat is the question\n" * 20


def fit_model() -> LanguageModel:
    training = {"epochs": 1, "learning_rate": 0.02}
    settings = {"width": 16, "n_layers": 1, "rank": 2}
    return LanguageModel(
        arm="entangled", size="3k", context=16, n_tokens=1500, settings=settings, training=training
    ).fit(TEXT)


class Recitation:
    """Characters; behind any of its text it expects what follows there, with a share of 0.9."""

    context, prefix = 200, 10

    def __init__(self, text: str) -> None:
        self.text = "\n" + text

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def next_letter(self, ids: Sequence[int]) -> int:
        read = self.decode(ids).lstrip("\n")
        at = self.text.find(read)
        return ord((self.text + "\n")[at + len(read)]) if at >= 0 else 0

    def logits(self, ids: Tensor) -> Tensor:
        shares = torch.full((*ids.shape, 128), 0.1 / 127)
        for row, known in enumerate(ids.tolist()):
            for stop in range(1, len(known) + 1):
                shares[row, stop - 1, self.next_letter(known[:stop])] = 0.9
        return shares.log()

    def generate(self, ids: Sequence[int], count: int) -> list[int]:
        known = list(ids)
        for _ in range(count):
            known.append(self.next_letter(known))
        return known[len(ids) :]
