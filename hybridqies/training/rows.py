"""Rows of examples, and the batches that they give."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model is called with, a tensor or a mapping of tensors, and the labels of B rows, (B, ...)."""

    inputs: Any
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Batch:
        """The same on another device; itself where it is there already."""
        return Batch(move(self.inputs, device), self.labels.to(device))


class Rows(Protocol):
    """Examples that batches are drawn from. `fingerprint` identifies their content in a checkpoint."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor | slice, /) -> Batch:
        """The rows of these numbers, in their order."""

    @property
    def fingerprint(self) -> str:
        """A digest of every input and label."""


@runtime_checkable
class ChangingRows(Protocol):
    """Rows that are others in each epoch, and as many: a text is too long to be passed over whole."""

    def of_epoch(self, epoch: int) -> Rows:
        """The rows of an epoch, counted from 0; itself has those of the first."""


class Inputs(Protocol):
    """Inputs that are no single tensor, such as tokenised texts: indexable by a row tensor or a slice."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor | slice, /) -> Any:
        """The inputs of these rows, as the model takes them."""

    @property
    def fingerprint(self) -> str:
        """A digest of their content."""


@dataclass(frozen=True)
class Labelled:
    """Inputs, a tensor such as embeddings (B, D) or `Inputs`, and their class indices (B,)."""

    inputs: Any
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor | slice, /) -> Batch:
        return Batch(self.inputs[rows], self.labels[rows])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over inputs and labels."""
        inputs = self.inputs
        own = digest_tensor(inputs) if isinstance(inputs, Tensor) else inputs.fingerprint
        return hashlib.sha256(f"{own}\0{digest_tensor(self.labels)}".encode()).hexdigest()


def rows_of_epoch(rows: Rows, epoch: int) -> Rows:
    """The rows of an epoch, counted from 0."""
    return rows.of_epoch(epoch) if isinstance(rows, ChangingRows) else rows


def digest_tensor(tensor: Tensor) -> str:
    """SHA-256 over type, shape and values."""
    plain = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{plain.dtype}\0{tuple(plain.shape)}\0".encode())
    # As bytes, because NumPy has no bfloat16.
    digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def move(inputs: Any, device: torch.device) -> Any:
    """A tensor, or a mapping of tensors, on `device`; anything else as it is."""
    if isinstance(inputs, Tensor):
        return inputs.to(device)
    if isinstance(inputs, Mapping):
        return {name: move(value, device) for name, value in inputs.items()}
    return inputs
