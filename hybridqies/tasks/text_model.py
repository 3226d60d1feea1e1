"""An encoder with trainable layers and a head behind it, as one module from tokens to logits."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.heads import Head
from hybridqies.roles import Role
from hybridqies.text import combine

# Texts at a time where embeddings are only read.
_BATCH = 64


class TextModel(nn.Module):
    """Tokens of B texts or pairs to logits (B, K): the encoder's embeddings, then the head.

    With `paired` the head reads rows (B, 4 D) made of the embeddings of both texts. Gradients reach the head
    and those layers of the encoder that are to be trained.
    """

    roles: ClassVar[dict[str, Role]] = {"encoder": Role.ENCODER}

    def __init__(self, encoder: nn.Module, head: Head, *, paired: bool = False) -> None:
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
        """How many values training sets: the head's and those of the trained layers."""
        trained = sum(each.numel() for each in self.encoder.parameters() if each.requires_grad)
        return self.head.n_trained() + trained


def head_of(model: nn.Module) -> Head:
    """The head of a model, which may be the model itself."""
    head = model.head if isinstance(model, TextModel) else model
    assert isinstance(head, Head)
    return head
