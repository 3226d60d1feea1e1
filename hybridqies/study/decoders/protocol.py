"""The protocol of every language model in a study: the same tokens, the same search, chosen on validation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.errors import InputError
from hybridqies.language_model import LanguageModel, LanguageModelConfig, count_tokens
from hybridqies.lm import count_flops, count_parameters
from hybridqies.study.decoders.texts import DecoderContext, DecoderSource, TextParts
from hybridqies.study.decoders.trial import PROTOCOL, DecoderJournal, DecoderRecord, DecoderTrial
from hybridqies.study.trials.kind import TrialKind
from hybridqies.study.trials.outcome import Keyed, TrialFailure


def attempt(trials: Sequence[DecoderTrial], context: DecoderContext) -> tuple[Keyed, ...]:
    """The records of trials, with errors as failures that are kept; an interrupt passes."""
    return tuple(_attempt_one(trial, context) for trial in trials)


def run_trial(trial: DecoderTrial, context: DecoderContext) -> DecoderRecord:
    """Tries the rates, trains with the best, and measures that model on the test text, once.

    Raises
    ------
    InputError: the text is not what the trial was planned on, or no rate could be trained with.
    """
    start = time.perf_counter()
    context.check(trial)
    parts = context.parts[trial.text]
    config = replace(trial.model, device=context.device)
    with one_thread(context.device):
        rate, candidates = _choose_rate(trial, config, parts)
        processor = time.process_time()
        model = _train(config, rate, parts)
        processor = time.process_time() - processor
        score = model.score(parts.test)
    assert model.outcome is not None
    outcome, shape = model.outcome, model.decoder.config
    n_tokens = count_tokens(config)
    kept = outcome.history[outcome.best_epoch - 1]
    return DecoderRecord(
        key=trial.key,
        trial=trial.to_mapping(),
        chosen={"learning_rate": rate},
        candidates=tuple(candidates),
        validation={name: kept[f"validation_{name}"] for name in ("loss", "accuracy")},
        test={name: value for name, value in asdict(score).items() if isinstance(value, int | float)},
        n_parameters=count_parameters(shape),
        flops_per_token=count_flops(shape),
        n_tokens=n_tokens,
        curve=tuple(
            {
                "tokens": n_tokens * each["epoch"] // len(outcome.history),
                **{name: each[name] for name in ("train_loss", "validation_loss", "seconds")},
            }
            for each in outcome.history
        ),
        training_seconds=round(outcome.seconds, 3),
        processor_seconds=round(processor, 3),
        seconds=round(time.perf_counter() - start, 3),
    )


def _attempt_one(trial: DecoderTrial, context: DecoderContext) -> Keyed:
    start = time.perf_counter()
    try:
        return run_trial(trial, context)
    except Exception as error:
        text = scrub(f"{type(error).__name__}: {error}")
        return TrialFailure(trial.key, trial.to_mapping(), text, round(time.perf_counter() - start, 3))


def shorten(trial: DecoderTrial) -> LanguageModelConfig:
    """The model as a rate is tried on it: one part, so that the schedule ends where rates are compared."""
    training = replace(trial.model.training, epochs=1)
    return replace(trial.model, n_tokens=trial.search_tokens, training=training)


def _choose_rate(
    trial: DecoderTrial, config: LanguageModelConfig, parts: TextParts
) -> tuple[float, list[dict[str, Any]]]:
    """The rate of the lowest validation loss after a short training, and what was tried."""
    if len(trial.rates) == 1:
        return trial.rates[0], []
    short = replace(shorten(trial), device=config.device)
    candidates: list[dict[str, Any]] = []
    for rate in trial.rates:
        found: dict[str, Any] = {"learning_rate": rate}
        try:
            outcome = _train(short, rate, parts).outcome
            assert outcome is not None
            found["validation_loss"] = outcome.history[-1]["validation_loss"]
        except InputError as error:
            # A rate at which the loss becomes infinite is a result of the search, not its end.
            found["error"] = str(error)
        candidates.append(found)
    trained = [each for each in candidates if "error" not in each]
    if not trained:
        raise InputError(f"none of {len(candidates)} rates could be trained with: {candidates[0]['error']}")
    best = min(trained, key=lambda each: float(each["validation_loss"]))
    return float(best["learning_rate"]), candidates


def _train(config: LanguageModelConfig, rate: float, parts: TextParts) -> LanguageModel:
    model = LanguageModel(replace(config, training=replace(config.training, learning_rate=rate)))
    model.prepare(parts.train, parts.held_out)
    return model.fit(parts.train, parts.validation)


@contextlib.contextmanager
def one_thread(device: str) -> Iterator[None]:
    """On a processor one thread, so that numbers do not depend on how many trials run side by side."""
    if not device.startswith("cpu"):
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _each_alone(context: DecoderContext) -> Callable[[DecoderTrial], str]:  # noqa: ARG001
    return lambda trial: trial.key


DECODER_TRIALS = TrialKind(
    source=DecoderSource.from_mapping,
    trial=DecoderTrial.from_mapping,
    record=DecoderRecord.from_mapping,
    journal=DecoderJournal,
    attempt=attempt,
    cohorts=_each_alone,
    version=PROTOCOL,
    curve=lambda record: record.curve,
)
