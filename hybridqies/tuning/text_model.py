"""An encoder that is tuned and a head behind it, as one module from tokens to logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.heads import Head
from hybridqies.text import combine
from hybridqies.tuning.tunable import TunableEncoder

# Texts at a time where embeddings are only read.
_BATCH = 64


class TextModel(nn.Module):
    """Tokens of B texts or pairs to logits (B, K): the encoder's embeddings, then the head.

    With `paired` the head reads rows (B, 4 D) made of the embeddings of both texts. Gradients reach the head
    and what is trained of the encoder.
    """

    def __init__(self, encoder: TunableEncoder, head: Head, *, paired: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.paired = paired
        self.n_classes = head.n_classes

    def forward(self, tokens: Any) -> Tensor:
        """Logits (B, K)."""
        logits: Tensor = self.head(self._encode(tokens))
        return logits

    def adapt(self, tokens: Any) -> None:
        """Fits the head's scaling to the embeddings that the encoder starts with."""
        self.head.adapt(self.embed(tokens))

    def embed(self, tokens: Any) -> Tensor:
        """What the head reads of all tokens, (B, D) or (B, 4 D), without gradients or dropout."""
        was_training = self.encoder.training
        self.encoder.eval()
        with torch.no_grad():
            rows = torch.arange(len(tokens)).split(_BATCH)
            parts = [self._encode(tokens[batch]) for batch in rows]
        self.encoder.train(was_training)
        return torch.cat(parts)

    def _encode(self, tokens: Any) -> Tensor:
        embeddings: Tensor = self.encoder(tokens)
        return combine(*embeddings.tensor_split(2)) if self.paired else embeddings

    def n_trained(self) -> int:
        """How many values training sets, in the head and in the encoder."""
        return self.head.n_trained() + self.encoder.n_trained()


def head_of(model: nn.Module) -> Head:
    """The head of a model that is one, or that has one behind its encoder as `head`."""
    head = model if isinstance(model, Head) else model.head
    assert isinstance(head, Head)
    return head
