"""Healing: the factors of a compressed model are trained on a text, and nothing else of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.factorised.layer import CompressedLinear, Gates
from hybridqies.options import within
from hybridqies.text import Tokens
from hybridqies.training import (
    Distillation,
    Labelled,
    NextToken,
    Outcome,
    Schedule,
    TrainingConfig,
    Windows,
    fit,
)

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Steps:
    """AdamW on the file `text`.

    The learning rate follows `schedule` after a rise over the fraction `warmup` of the steps.
    """

    text: str
    _: KW_ONLY
    epochs: int = 1
    batch_size: int = 1
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: Schedule = Schedule.COSINE
    warmup: float = 0.0
    clip_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        # It checks these options itself.
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


@dataclass(frozen=True)
class Healing(Steps):
    """For language models: the next token of the first `windows` windows of `width` tokens of the text."""

    _: KW_ONLY
    windows: int = 200
    width: int = 256

    def __post_init__(self) -> None:
        within(self, "healing option", windows=(1, 1e9), width=(2, 1e9))
        Steps.__post_init__(self)


@dataclass(frozen=True)
class EncoderHealing(Steps):
    """For sentence encoders: what the untouched encoder makes of the first `texts` lines of the text."""

    _: KW_ONLY
    texts: int = 2000
    batch_size: int = 32

    def __post_init__(self) -> None:
        within(self, "healing option", texts=(1, 1e9))
        Steps.__post_init__(self)


def heal(
    model: nn.Module,
    windows: Tensor,
    healing: Healing,
    on_step: OnStep | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
) -> Outcome:
    """Trains the factors of all compressed layers, in place, on windows (N, T) of token ids.

    The windows are what `healing` asks for; its text is not read here. `folder` and `resume` are those of
    `hybridqies.training.fit`: healing that was interrupted goes on after its last whole epoch.

    Raises
    ------
    InputError: the model has no compressed layer, or a layer without numbers, or the loss is not finite.
    ModelFolderError: the checkpoint is damaged, or of another training.
    """
    with _only_factors(model):
        config = healing.training()
        rows = Windows(windows)
        return fit(model, rows, None, NextToken(), config, folder=folder, resume=resume, on_step=on_step)


def heal_encoder(
    model: nn.Module,
    tokens: Tokens,
    targets: Tensor,
    healing: EncoderHealing,
    on_step: OnStep | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
) -> Outcome:
    """The same for a sentence-transformers model: its embeddings of N texts are brought to `targets` (N, D).

    There is no dropout: targets have none either.

    Raises
    ------
    As `heal`.
    """
    with _only_factors(model):
        config = healing.training()
        rows, student = Labelled(tokens, targets), _Student(model)
        return fit(student, rows, None, Distillation(), config, folder=folder, resume=resume, on_step=on_step)


class _Student(nn.Module):
    """Tokens to embeddings (B, D), without dropout even in training."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def train(self, mode: bool = True) -> _Student:
        del mode
        return super().train(False)

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        found: Tensor = self.model(dict(tokens))["sentence_embedding"]
        return found


@contextlib.contextmanager
def _only_factors(model: nn.Module) -> Iterator[None]:
    """In here gradients are computed for the factors alone: the cores, and the angles of circuits."""
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
    circuits = [each for each in model.modules() if isinstance(each, Gates)]
    for layer in layers.values():
        layer.cores.requires_grad_(True)
    for circuit in circuits:
        circuit.free()
    try:
        yield
    finally:
        for circuit in circuits:
            circuit.fix()
        for parameter, wanted in before:
            parameter.requires_grad_(wanted)
            parameter.grad = None
