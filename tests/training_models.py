"""Models that are no heads: a head behind an encoder that is trained, and a small language model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from built_heads import built_head
from torch import Tensor, nn

from hybridqies.roles import Role
from hybridqies.training import Batch, Labelled, SelectOn
from hybridqies.training.prediction import evaluating, slices
from hybridqies.training.rows import digest_tensor


@dataclass(frozen=True)
class Tokens:
    """Token numbers (B, T), 0 where a text is shorter; a batch is cut to its longest text."""

    ids: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Tensor | slice) -> dict[str, Tensor]:
        ids = self.ids[rows]
        mask = (ids != 0).long()
        longest = int(mask.sum(dim=1).max()) if len(ids) else 1
        return {"input_ids": ids[:, :longest], "attention_mask": mask[:, :longest]}

    @property
    def fingerprint(self) -> str:
        return digest_tensor(self.ids)


class EncodedHead(nn.Module):
    """A BERT of which the last layer is trained, mean pooling, and a head."""

    roles: ClassVar[Mapping[str, Role]] = {"encoder": Role.ENCODER}

    def __init__(self, folder: Path, n_classes: int, head: str = "two-module", **options: Any) -> None:
        super().__init__()
        from transformers import BertModel

        self.encoder: Any = BertModel.from_pretrained(folder, add_pooling_layer=False)
        self.encoder.requires_grad_(False)
        self.encoder.encoder.layer[-1].requires_grad_(True)
        self.head = built_head(head, self.encoder.config.hidden_size, n_classes, **options)
        self.n_classes = n_classes

    def embed(self, inputs: Mapping[str, Tensor]) -> Tensor:
        states: Tensor = self.encoder(**inputs).last_hidden_state
        mask = inputs["attention_mask"][..., None].to(states)
        return (states * mask).sum(dim=1) / mask.sum(dim=1)

    def adapt(self, inputs: Tokens) -> None:
        with torch.no_grad():
            self.head.adapt(self.embed(inputs[slice(None)]))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self.head(self.embed(inputs))
        return logits


def texts(rows: int, seed: int = 0, words: int = 30) -> Labelled:
    """Token rows of which some words stand in one class only."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (rows,), generator=draw)
    ids = torch.randint(17, words, (rows, 9), generator=draw)
    ids[:, 1] = 5 + 6 * labels + torch.randint(6, (rows,), generator=draw)
    lengths = torch.randint(3, 10, (rows,), generator=draw)
    ids[torch.arange(9) >= lengths[:, None]] = 0
    return Labelled(Tokens(ids), labels)


class LanguageModel(nn.Module):
    """Next-token logits (B, T, V); the embedding is also the last layer."""

    def __init__(self, vocabulary: int = 12, width: int = 8, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary, width)
            self.body = nn.GRU(width, width, batch_first=True)
            self.last = nn.Linear(width, vocabulary, bias=False)
        self.last.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.last(self.body(self.embedding(ids))[0])
        return logits


@dataclass(frozen=True)
class Sequences:
    """Token rows (B, T), 0 where a sequence is shorter; the label of a token is the next one."""

    ids: Tensor

    @classmethod
    def of(cls, rows: int, seed: int = 0, shortest: int = 3, vocabulary: int = 12) -> Sequences:
        """Sequences that count up from a random token."""
        draw = torch.Generator().manual_seed(seed)
        start = torch.randint(vocabulary - 1, (rows, 1), generator=draw)
        ids = 1 + (start + torch.arange(8)) % (vocabulary - 1)
        ids[torch.arange(8) >= torch.randint(shortest, 9, (rows, 1), generator=draw)] = 0
        return cls(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        ids = self.ids[rows]
        return Batch(ids[:, :-1], ids[:, 1:])

    @property
    def fingerprint(self) -> str:
        return digest_tensor(self.ids)


@dataclass(frozen=True)
class TokenLoss:
    """What a language model is measured by."""

    loss: float

    def to_mapping(self, prefix: str = "") -> dict[str, float]:
        return {f"{prefix}loss": self.loss, f"{prefix}perplexity": math.exp(self.loss)}

    def score(self, rule: SelectOn) -> tuple[float, float]:
        return -self.loss, 0.0


class NextToken:
    """The mean cross-entropy over tokens that are there."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        logits = model(batch.inputs)
        return nn.functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=0)

    def weight(self, batch: Batch) -> float:
        return float((batch.labels != 0).sum())

    def measure(self, model: nn.Module, rows: Sequences, batch_size: int) -> TokenLoss:
        total = tokens = 0.0
        with evaluating(model):
            for part in slices(len(rows), batch_size):
                count = self.weight(rows[part])
                total += float(self.loss(model, rows[part])) * count
                tokens += count
        return TokenLoss(total / tokens)

    def describe(self) -> dict[str, Any]:
        return {"what": "next token"}
