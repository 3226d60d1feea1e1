"""An encoder whose last layers are trained: texts tokenised once, and a module from tokens to embeddings."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError

_LAYERS = ("layer", "layers", "block", "h")
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


class TrainableEncoder(nn.Module):
    """A copy of a sentence-transformers model in which the last layers alone are trained."""

    def __init__(self, model: nn.Module, layers: int, name: str) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        blocks = _find_layers(self.model)
        if blocks is None or len(blocks) < layers:
            found = "no transformer layers" if blocks is None else f"{len(blocks)} transformer layers"
            raise InputError(
                f"encoder {name!r} has {found}, and {layers} were to be trained",
                expected="a transformer with at least as many layers",
            )
        for block in list(blocks)[len(blocks) - layers :]:
            block.requires_grad_(True)

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Embeddings (B, D) of a batch of `Tokens`."""
        if not len(tokens["input_ids"]):
            return torch.empty(0, self._width(), dtype=torch.float32)
        embeddings: Tensor = self.model(dict(tokens))["sentence_embedding"]
        return embeddings

    def _width(self) -> int:
        measure = getattr(self.model, "get_embedding_dimension", None)
        found: Any = measure or self.model.get_sentence_embedding_dimension
        return int(found())


def tokenise(model: Any, texts: Sequence[str], name: str) -> Tokens:
    """The tokens of each text, cut at the model's length, with its default prompt before it.

    Raises
    ------
    InputError: the model has no transformers tokenizer.
    """
    pad = getattr(getattr(model, "tokenizer", None), "pad", None)
    if not callable(pad):
        raise InputError(
            f"encoder {name!r} has no transformers tokenizer", expected="a transformer, to train its layers"
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


def _find_layers(model: nn.Module) -> nn.ModuleList | None:
    """The list of a transformer's layers."""
    for name, part in model.named_modules():
        if isinstance(part, nn.ModuleList) and name.rpartition(".")[2] in _LAYERS and len(part):
            return part
    return None
