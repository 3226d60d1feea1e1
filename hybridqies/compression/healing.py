"""Healing: the factors of a compressed language model are trained on a text, and nothing else of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.factorised.layer import CompressedLinear
from hybridqies.options import within
from hybridqies.training import NextToken, Outcome, Schedule, TrainingConfig, Windows, fit

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Healing:
    """How the factors are trained: AdamW on the next token of `windows` windows of `width` tokens.

    They are the first ones of the file `text`. The learning rate follows `schedule` after a rise over the
    fraction `warmup` of the steps.
    """

    text: str
    windows: int = 200
    width: int = 256
    epochs: int = 1
    batch_size: int = 1
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: Schedule = Schedule.COSINE
    warmup: float = 0.0
    clip_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        within(self, "healing option", windows=(1, 1e9), width=(2, 1e9))
        # The rest is checked by the training itself.
        self.training()

    def training(self) -> TrainingConfig:
        """The configuration of the loop."""
        return TrainingConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup=self.warmup,
            clip_norm=self.clip_norm,
            seed=self.seed,
        )


def heal(model: nn.Module, windows: Tensor, healing: Healing, on_step: OnStep | None = None) -> Outcome:
    """Trains the cores of all compressed layers, in place, on windows (N, T) of token ids.

    The windows are what `healing` asks for; its text is not read here.

    Raises
    ------
    InputError: the model has no compressed layer, or a layer without numbers, or the loss is not finite.
    """
    with _only_cores(model):
        return fit(model, Windows(windows), None, NextToken(), healing.training(), on_step=on_step)


@contextlib.contextmanager
def _only_cores(model: nn.Module) -> Iterator[None]:
    """In here gradients are computed for the cores alone."""
    layers = {name: each for name, each in model.named_modules() if isinstance(each, CompressedLinear)}
    if not layers:
        raise InputError(
            "the model has no compressed layer to heal", expected="a model that was compressed before"
        )
    for name, layer in layers.items():
        if not any(core.numel() for core in layer.cores):
            raise InputError(
                f"layer {name!r} holds no numbers, so that nothing can be healed",
                expected="a method that keeps some",
            )
    before: list[tuple[Any, bool]] = [(each, each.requires_grad) for each in model.parameters()]
    model.requires_grad_(False)
    for layer in layers.values():
        layer.cores.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, wanted in before:
            parameter.requires_grad_(wanted)
            parameter.grad = None
