"""Tuning an encoder before the head is trained, by the one training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hybridqies.errors import InputError
from hybridqies.heads import HeadContext, build_head
from hybridqies.text import Encoder
from hybridqies.text.pairs import row_width
from hybridqies.training import CrossEntropy, Labelled, Objective, Ranks, TrainingConfig, fit
from hybridqies.training.contrastive import CosinePairs, SupervisedContrastive, check_partners
from hybridqies.tuning.spec import TuneBy, Tuning
from hybridqies.tuning.text_model import TextModel
from hybridqies.tuning.tunable import TunableEncoder
from hybridqies.tuning.tuned import TunedEncoder

OnEpoch = Callable[[dict[str, Any]], None]


def tune_encoder(
    encoder: Encoder,
    tuning: Tuning,
    training: Labelled,
    validation: Labelled | None,
    n_classes: int,
    config: TrainingConfig,
    *,
    paired: bool = False,
    folder: Path | None = None,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
) -> TunedEncoder:
    """What `tuning` makes of an encoder on tokens with class indices; the encoder itself stays as it is.

    The loop, its learning rates and its choice of an epoch are those of `config`; the number of epochs is
    that of the tuning. `folder` and `resume` are those of `fit`.

    Raises
    ------
    InputError: the encoder cannot be tuned that way, or a batch would have to be computed in parts.
    """
    assert tuning.is_first
    check_tuning(tuning, config, paired=paired)
    tunable = TunableEncoder(encoder, tuning, config.seed)
    config = replace(config, epochs=tuning.epochs)
    model: TextModel | TunableEncoder = tunable
    objective: Objective[Labelled] = _contrast(tuning)
    if tuning.by is TuneBy.LINEAR:
        n_inputs = row_width(encoder.dimension, paired=paired)
        generator = torch.Generator().manual_seed(config.seed)
        head = build_head("mlp", {"widths": []}, HeadContext(n_inputs, n_classes, generator=generator))
        model = TextModel(tunable, head, paired=paired).to(encoder.device)
        objective = CrossEntropy.of(config, training, n_classes)
    else:
        check_partners(training.labels)
    outcome = fit(
        model, training, validation, objective, config, folder=folder, resume=resume, on_epoch=on_epoch
    )
    return TunedEncoder.of(encoder, tunable, outcome.seconds)


def check_tuning(tuning: Tuning, config: TrainingConfig, *, paired: bool) -> None:
    """Refuses a tuning that compares rows where rows cannot be compared.

    Raises
    ------
    InputError: pairs of texts, or batches in parts.
    """
    if tuning.by is None or not tuning.by.is_contrastive:
        return
    name = tuning.by.value
    if paired:
        raise InputError(
            f"an encoder was to be tuned by {name!r} on pairs of texts",
            expected="single texts, whose embeddings are compared",
            todo="tune it by head or linear",
        )
    if config.compute.accumulation > 1 or Ranks.current().size > 1:
        raise InputError(
            f"an encoder was to be tuned by {name!r} with batches in parts",
            expected="whole batches, whose rows are compared with each other",
            todo="set training.compute.accumulation=1 and use one process",
        )


def _contrast(tuning: Tuning) -> SupervisedContrastive | CosinePairs:
    return CosinePairs() if tuning.by is TuneBy.PAIRS else SupervisedContrastive(tuning.temperature)
