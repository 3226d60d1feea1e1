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

# Transformers 5 has renamed the method.
_SWITCHES = ("activation", "gradient")
# On a CPU torch reads the lowest 32 bits of a seed alone, so that ranks have to differ there.
_SEED_OF_RANK = 0x9E3779B1


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters, or else its buffers, are."""
    first = next(itertools.chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


@contextlib.contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Gradients and no autocast in here, whatever the caller has switched on or off."""
    with torch.inference_mode(False), torch.enable_grad(), exactly(device):
        yield


def exactly(device: torch.device) -> AbstractContextManager[object]:
    """No autocast in here, even inside a caller's."""
    return torch.autocast(device.type, enabled=False)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuses a precision that a device does not have.

    Raises
    ------
    InputError: bf16 on a card that would only emulate it.
    """
    if precision is not Precision.BF16 or device.type != "cuda":
        return
    with torch.cuda.device(device):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return
        name = torch.cuda.get_device_name()
    raise InputError(
        f"precision bf16 was given, and {name} does not compute in it",
        expected="a card of compute capability 8.0 or more",
        todo="use precision float32",
    )


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The autocast of that precision, within `undisturbed`."""
    if precision is Precision.FLOAT32:
        return contextlib.nullcontext()
    # Inside another context torch would keep the cast weights of the first step for all later ones.
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def seed_of_epoch(seed: int, epoch: int, rank: int = 0) -> int:
    """What the random draws of an epoch are seeded with, in the process of that rank."""
    return seed * 1_000_003 + epoch + rank * _SEED_OF_RANK


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
    parts = _recomputable(model) if wanted else []
    if wanted and not parts:
        raise InputError(
            "compute.checkpointing was asked for, and no part of the model can recompute",
            expected="a model with activation_checkpointing_enable, such as a transformers encoder",
        )
    for part in parts:
        _switch(part, on=True)
    try:
        yield
    finally:
        for part in parts:
            _switch(part, on=False)


def _recomputable(model: nn.Module) -> list[nn.Module]:
    """The outermost parts that Hugging Face's methods switch on and off again."""
    found: list[nn.Module] = []
    for part in model.modules():
        if _switch_of(part) is not None:
            inside = {id(each) for outer in found for each in outer.modules()}
            found += [] if id(part) in inside else [part]
    return found


def _switch_of(part: nn.Module) -> str | None:
    """The prefix of its methods, or None if it has none or can't be switched off (`SentenceTransformer`)."""
    for name in _SWITCHES:
        if all(hasattr(part, f"{name}_checkpointing_{ending}") for ending in ("enable", "disable")):
            return name
    return None


def _switch(part: Any, *, on: bool) -> None:
    name = _switch_of(part)
    if not on:
        getattr(part, f"{name}_checkpointing_disable")()
        return
    options = {f"{name}_checkpointing_kwargs": {"use_reentrant": False}}
    getattr(part, f"{name}_checkpointing_enable")(**options)
