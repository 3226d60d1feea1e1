"""Predictions in batches, the same whatever the caller's autocast or random state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from hybridqies.backends import QuantumLayer, RemoteBackend
from hybridqies.errors import InputError
from hybridqies.training.numerics import device_of, exactly
from hybridqies.training.rows import Inputs, move

MANY = 256
"""Rows in a batch where nothing else decides: a model without circuits, a simulator that samples."""


def prediction_batch(model: nn.Module, count: int, trained: int = MANY) -> int:
    """How many rows to predict at once: the one rule.

    All `count` where a submission is a job at a service; many on a backend that samples or has no
    gradients of its own; otherwise as many as a batch of training had, which is known to fit into memory.
    """
    backends = [part.backend for part in model.modules() if isinstance(part, QuantumLayer)]
    if any(isinstance(backend, RemoteBackend) for backend in backends):
        return max(1, count)
    exact = all(backend.capabilities.native_gradients and backend.is_exact for backend in backends)
    return trained if exact else MANY


def predict_probabilities(model: nn.Module, inputs: Tensor | Inputs, batch_size: int = MANY) -> np.ndarray:
    """Class probabilities (B, K), computed in batches, without gradients or dropout.

    Raises
    ------
    InputError: a probability that is not a number.
    """
    device = device_of(model)
    with evaluating(model):
        parts = [
            torch.softmax(model(move(inputs[part], device)), dim=1)
            for part in slices(len(inputs), batch_size)
        ]
    values: np.ndarray = torch.cat(parts).cpu().numpy()
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        raise InputError(
            f"the model's answer for row {broken[0] + 1} is not a number",
            expected="finite probabilities",
            todo="check inputs and weights for infinite values",
        )
    return values


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """No gradients, no dropout, no autocast in here; afterwards the model's mode is as before."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), exactly(device_of(model)):
            yield
    finally:
        model.train(was_training)


def slices(count: int, batch_size: int) -> list[slice]:
    """Consecutive parts of `count` rows; one empty part of none."""
    return [slice(start, start + batch_size) for start in range(0, max(count, 1), batch_size)]
