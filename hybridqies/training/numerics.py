"""What a training computes with: its device, precision and random numbers, whatever the caller set."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from hybridqies.errors import InputError
from hybridqies.training.config import Precision


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters, or else its buffers, are."""
    first = next(itertools.chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def exactly(device: torch.device) -> AbstractContextManager[object]:
    """No autocast in here, even inside a caller's."""
    return torch.autocast(device.type, enabled=False)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The autocast of that precision and no other."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision is Precision.BF16)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout draws from torch's global generators: they are seeded in here, and restored afterwards."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield


@contextlib.contextmanager
def recomputing(model: nn.Module, wanted: bool) -> Iterator[None]:
    """Has the model compute activations a second time instead of keeping them, where that is wanted.

    Raises
    ------
    InputError: no part of the model can.
    """
    able: list[Any] = [part for part in model.modules() if hasattr(part, "gradient_checkpointing_enable")]
    if not wanted:
        yield
        return
    if not able:
        raise InputError(
            "training.compute.checkpointing was asked for, and no part of the model can recompute",
            expected="a model with gradient_checkpointing_enable, such as a transformers encoder",
        )
    outermost = able[0]
    outermost.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    try:
        yield
    finally:
        outermost.gradient_checkpointing_disable()
