"""What a scaling study will cost: parameters and operations by formula, seconds from a few timed steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hybridqies.language_model import LanguageModel, count_tokens
from hybridqies.lm import count_flops, count_parameters
from hybridqies.lm.costs import TRAINING
from hybridqies.study.decoders.protocol import one_thread, shorten
from hybridqies.study.decoders.texts import DecoderContext, TextParts
from hybridqies.study.decoders.trial import DecoderTrial

STEPS = 4
"""Steps that each model is timed for, behind a first one."""
_ENOUGH = 16
"""Characters of a token, at the most."""


def estimate_costs(trials: Sequence[DecoderTrial], context: DecoderContext) -> dict[str, Any]:
    """The costs of trials, as JSON values: a row for those that differ in their seed alone, and the sums.

    Tokens are those of the training and of the search, and a third of those that are validated and tested
    on. Nothing is trained to the end, and nothing is kept.
    """
    grouped: dict[tuple[str, int, str, str], list[DecoderTrial]] = {}
    for trial in trials:
        place = (trial.text, trial.model.n_tokens, trial.model.size, trial.arm)
        grouped.setdefault(place, []).append(trial)
    rows = [_row(members, context) for members in grouped.values()]
    sums = {name: sum(row[name] for row in rows) for name in ("trainings", "operations", "seconds")}
    return {"rows": rows, **sums}


def _row(trials: Sequence[DecoderTrial], context: DecoderContext) -> dict[str, Any]:
    trial, parts = trials[0], context.parts[trials[0].text]
    shape = context.shape(trial.text, trial.model)
    tokens = len(trials) * _tokens_of(trial, parts)
    with one_thread(context.device):
        per_token = _seconds_per_token(trial, context, parts)
    return {
        "text": trial.text,
        "arm": trial.arm,
        "size": trial.model.size,
        "n_parameters": count_parameters(shape),
        "flops_per_token": count_flops(shape),
        "n_tokens": count_tokens(trial.model),
        "trainings": len(trials),
        "operations": round(TRAINING * count_flops(shape) * tokens),
        "seconds": round(per_token * tokens, 1),
    }


def _tokens_of(trial: DecoderTrial, parts: TextParts) -> float:
    """Tokens of one trial in tokens of training; a character counts as a token."""
    epochs = trial.model.training.for_rows(1).epochs
    assert epochs is not None
    searched = len(trial.rates) if len(trial.rates) > 1 else 0
    trained = count_tokens(trial.model) + searched * count_tokens(shorten(trial))
    measured = (epochs + searched) * len(parts.validation) + len(parts.test)
    return trained + measured / TRAINING


def _seconds_per_token(trial: DecoderTrial, context: DecoderContext, parts: TextParts) -> float:
    batch = trial.model.training.batch_size * trial.model.context
    training = replace(trial.model.training, epochs=1)
    config = replace(trial.model, n_tokens=(1 + STEPS) * batch, training=training, device=context.device)
    model, moments = LanguageModel(config), list[float]()
    model.prepare(parts.train, parts.held_out)
    # As short as can be: validation is not timed.
    validation = parts.train[: _ENOUGH * trial.model.context]
    model.fit(parts.train, validation, on_step=lambda *_: moments.append(time.perf_counter()))
    return (moments[-1] - moments[0]) / (STEPS * batch)
