"""What a head reads: the embedding of a text, or both embeddings of a pair with their distance and product.

Embeddings u, v of a pair become the row `[u, v, |u - v|, u * v]`, as in Conneau et al., "Supervised Learning
of Universal Sentence Representations from Natural Language Inference Data", arXiv:1705.02364, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hybridqies.text.cache import EmbeddingCache, TextEncoder, embed
from hybridqies.text.encoder import Encoder, Progress
from hybridqies.text.entries import Entry
from hybridqies.text.tokens import Tokens

_PARTS = 4


def combine(first: Tensor, second: Tensor) -> Tensor:
    """The rows `[u, v, |u - v|, u * v]` (B, 4 D) of embeddings u and v, (B, D) each. Their order matters."""
    return torch.cat([first, second, (first - second).abs(), first * second], dim=1)


def row_width(dimension: int, *, paired: bool) -> int:
    """Numbers in a row: D for a text, 4 D for a pair."""
    return _PARTS * dimension if paired else dimension


def embed_entries(
    encoder: TextEncoder,
    entries: Sequence[Entry],
    cache: EmbeddingCache | None,
    progress: Progress | None = None,
    *,
    paired: bool,
) -> Tensor:
    """The rows (B, D) of B texts, or (B, 4 D) of B pairs.

    Each different text is embedded once and cached by itself, wherever it stands. Errors and `progress` are
    those of `embed`.
    """
    rows = embed(encoder, _texts_of(entries, paired), cache, progress)
    return combine(*rows.tensor_split(2)) if paired else rows


def warn_of_cuts(encoder: Encoder, entries: Sequence[Entry], *, paired: bool) -> None:
    """Warns of texts that are longer than what the encoder reads; `embed_entries` does so by itself."""
    encoder.warn_of_cuts(_texts_of(entries, paired))


def tokenise_entries(encoder: Encoder, entries: Sequence[Entry], *, paired: bool) -> Tokens | PairTokens:
    """The tokens of B texts or pairs, for an encoder that is tuned.

    Raises
    ------
    InputError: the encoder has no transformers tokenizer.
    """
    tokens = encoder.tokenise(_texts_of(entries, paired))
    return PairTokens(tokens) if paired else tokens


class PairTokens:
    """Tokenised pairs; B of them are one batch of 2 B texts, the first ones and then the second ones.

    `tokens` holds the texts of all pairs in that order.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __len__(self) -> int:
        return len(self._tokens) // 2

    def __getitem__(self, rows: Tensor | slice, /) -> dict[str, Tensor]:
        """Token ids, mask and what else the encoder reads, each (2 B, T)."""
        chosen = torch.arange(len(self))[rows] if isinstance(rows, slice) else rows
        return self._tokens[torch.cat([chosen, chosen + len(self)])]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the tokens of every text."""
        return self._tokens.fingerprint


def _texts_of(entries: Sequence[Any], paired: bool) -> list[str]:
    """All texts; of pairs the first ones, then the second ones."""
    return [entry[at] for at in range(2) for entry in entries] if paired else list(entries)
