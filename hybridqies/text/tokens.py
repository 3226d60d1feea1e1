"""Texts tokenised once, and batches of them, for an encoder that is tuned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hybridqies.errors import InputError

_CHUNK = 256


class Tokens:
    """Tokenised texts; rows of them are a batch that an encoder takes, padded to its longest text."""

    def __init__(self, rows: Sequence[Mapping[str, Tensor]], pad: Any) -> None:
        self._rows = list(rows)
        self._pad = pad

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Tensor | slice, /) -> dict[str, Tensor]:
        """Token ids, mask and what else the encoder reads, each (B, T)."""
        chosen = self._rows[rows] if isinstance(rows, slice) else [self._rows[at] for at in rows.tolist()]
        if not chosen:
            return {name: torch.empty(0, 1, dtype=torch.int64) for name in ("input_ids", "attention_mask")}
        columns = {name: [row[name].tolist() for row in chosen] for name in chosen[0]}
        return dict(self._pad(columns, return_tensors="pt"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the tokens of every text."""
        digest = hashlib.sha256()
        for row in self._rows:
            digest.update(f"{row['input_ids'].tolist()}\0".encode())
        return digest.hexdigest()


def tokenise(model: Any, texts: Sequence[str], name: str) -> Tokens:
    """The tokens of each text, cut at the model's length, with its default prompt before it.

    Raises
    ------
    InputError: the model has no transformers tokenizer.
    """
    pad = getattr(getattr(model, "tokenizer", None), "pad", None)
    if not callable(pad):
        raise InputError(
            f"encoder {name!r} has no transformers tokenizer", expected="a transformer, to tune it"
        )
    prompts, named = getattr(model, "prompts", None) or {}, getattr(model, "default_prompt_name", None)
    prompt = prompts.get(named, "")
    rows: list[dict[str, Tensor]] = []
    for start in range(0, len(texts), _CHUNK):
        # Version 6 of sentence-transformers renamed the method.
        read = getattr(model, "preprocess", None) or model.tokenize
        features = read([prompt + text for text in texts[start : start + _CHUNK]])
        tensors = {key: value for key, value in features.items() if isinstance(value, Tensor)}
        for at, mask in enumerate(tensors["attention_mask"].bool()):
            rows.append({key: value[at][mask] for key, value in tensors.items()})
    return Tokens(rows, pad)
