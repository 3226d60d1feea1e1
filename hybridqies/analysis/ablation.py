"""What the loss loses when single mixing layers or strides add nothing more than their mean."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hybridqies.analysis.maps import window_losses
from hybridqies.compression.perplexity import mean_interval
from hybridqies.errors import InputError
from hybridqies.lm import Decoder, Mixer
from hybridqies.lm.decoder import Block


class Replacement(enum.Enum):
    """What stands for the features of an ablated stride: their mean over the text, or zero."""

    MEAN = "mean"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Ablated:
    """The change of loss in nats per token with its 95 % interval; None means all blocks or all strides."""

    block: int | None
    stride: int | None
    change: float
    low: float
    high: float


def ablate_mixers(
    model: Decoder, windows: Tensor, replacement: Replacement = Replacement.MEAN
) -> list[Ablated]:
    """The loss without all layers, each layer, each stride of all layers, and each stride of each layer.

    Windows are (N, T). Each token is compared with itself in the whole model. The t interval is over the
    windows' mean changes, because tokens of one window are not independent.

    Raises
    ------
    InputError: a decoder without mixing layers, or fewer than two windows.
    """
    mixers = [block.mixer for block in model.blocks if isinstance(block, Block) and block.mixer is not None]
    if not mixers:
        raise InputError("ablation was asked of a decoder without mixing layers", expected="another arm")
    if len(windows) < 2:
        raise InputError(f"ablation was given {len(windows)} windows", expected="at least 2 windows")
    strides = [stride for stride in mixers[0].strides if stride < windows.shape[1]]
    fills, whole = _read_fills(model, mixers, windows, replacement)
    rows = []
    for block in (None, *range(len(mixers))):
        for stride in (None, *strides):
            removed = {at: fill for at, fill in enumerate(fills) if block in (None, at)}
            with _replacing(mixers, removed, stride):
                changes = (window_losses(model, windows) - whole).mean(1).tolist()
            found = mean_interval(changes)
            rows.append(Ablated(block, stride, found.value, found.low, found.high))
    return rows


def _read_fills(
    model: Decoder, mixers: Sequence[Mixer], windows: Tensor, replacement: Replacement
) -> tuple[list[Tensor], Tensor]:
    """What replaces the features of each mixer, and the losses of the whole model."""
    sums: list[Any] = [0.0] * len(mixers)

    def watch(at: int) -> Any:
        def add(_module: Any, inputs: tuple[Tensor]) -> None:
            sums[at] = sums[at] + inputs[0].double().sum((0, 1))

        return add

    with contextlib.ExitStack() as stack:
        for at, mixer in enumerate(mixers):
            stack.callback(mixer.out.register_forward_pre_hook(watch(at)).remove)
        whole = window_losses(model, windows)
    fills = [each / windows.numel() for each in sums]
    if replacement is Replacement.ZERO:
        fills = [torch.zeros_like(each) for each in fills]
    return fills, whole


@contextlib.contextmanager
def _replacing(mixers: Sequence[Mixer], fills: dict[int, Tensor], stride: int | None) -> Iterator[None]:
    """Fills in what the chosen mixers read, of one stride or of all."""

    def replace(mixer: Mixer, fill: Tensor) -> Any:
        size = len(fill) // len(mixer.strides)
        start = 0 if stride is None else mixer.strides.index(stride) * size
        chosen = slice(start, None if stride is None else start + size)

        def change(_module: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
            features = inputs[0].clone()
            features[..., chosen] = fill[chosen].to(features.dtype)
            return (features,)

        return change

    with contextlib.ExitStack() as stack:
        for at, fill in fills.items():
            hook = mixers[at].out.register_forward_pre_hook(replace(mixers[at], fill))
            stack.callback(hook.remove)
        yield
