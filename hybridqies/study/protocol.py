"""The one protocol of every arm: same splits, same scaling, same budget, chosen on validation, tested once.

Bowles, Ahmed, Schuld, "Better than classical? The subtle art of benchmarking quantum machine learning
models", arXiv:2403.07059, is the standard it is written to.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from hybridqies.backends import load_backend
from hybridqies.backends.jobs.scrubbing import scrubbed
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads import QUANTUM_HEADS, build_head, head_options
from hybridqies.heads.base import Head, HeadContext
from hybridqies.options import from_mapping
from hybridqies.study import convergence
from hybridqies.study.context import Scaler, Scaling, Splits, TrialContext
from hybridqies.study.convergence import Convergence
from hybridqies.study.search import Proposal, Search, parse_space
from hybridqies.study.trial import Trial, TrialFailure, TrialRecord
from hybridqies.training import Labelled, Metrics, TrainingConfig, evaluate, predict_probabilities, train
from hybridqies.training.trainer import Solvable

TRAINING = "training."
_BATCH = 128


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One candidate after training."""

    proposal: Proposal
    head: Head
    validation: Metrics
    convergence: Convergence

    @property
    def score(self) -> tuple[float, float]:
        """Higher is better: accuracy on validation, and among equals the lower log-loss."""
        return self.validation.accuracy, -self.validation.log_loss


def run_trial(trial: Trial, context: TrialContext) -> TrialRecord:
    """Searches, chooses on validation, and measures the chosen candidate on the test set, once or never.

    Raises
    ------
    InputError: the context is not what the trial was planned on, or no candidate could be trained.
    """
    started = time.perf_counter()
    context.check_is(trial.data_fingerprint, trial.encoder_fingerprint)
    _check_circuits(trial, context)
    splits = context.splits(trial.seed)
    scaler = Scaler.fit(Scaling(trial.scaling), splits.train.embeddings)
    best, candidates = _search(trial, context, splits, scaler)
    reading = None
    if trial.tested:
        reading = splits.test.measure(
            lambda embeddings: predict_probabilities(best.head, scaler(embeddings), _BATCH)
        )
    return TrialRecord(
        key=trial.key,
        trial=trial.to_mapping(),
        chosen=best.proposal.options,
        candidates=tuple(candidates),
        validation=best.validation.to_mapping(),
        test=reading.metrics.to_mapping() if reading else {},
        predictions=reading.predictions if reading else (),
        truth=reading.truth if reading else (),
        n_parameters=best.head.n_trained(),
        converged=best.convergence.reached,
        convergence=best.convergence.why,
        seconds=round(time.perf_counter() - started, 3),
    )


def circuits_digest(head: Head) -> str:
    """A digest of the circuits that the head is laid out with; empty where it has none."""
    circuits = {role: circuit.to_mapping() for role, circuit in head.circuits().items()}
    if not circuits:
        return ""
    return hashlib.sha256(json.dumps(circuits, sort_keys=True).encode()).hexdigest()


def _check_circuits(trial: Trial, context: TrialContext) -> None:
    """Refuses other circuits under the trial's name: a recipe may have been edited since, or elsewhere."""
    now = circuits_digest(untrained(trial, context.n_inputs, context.n_classes, {}))
    if trial.circuits and now != trial.circuits:
        raise InputError(
            f"the circuits of arm {trial.arm!r} are not those that the study began with",
            todo="put the recipe back as it was, or begin a new study",
        )


def attempt(trial: Trial, context: TrialContext) -> TrialRecord | TrialFailure:
    """`run_trial`, with an error as a failure that is kept; an interrupt passes."""
    started = time.perf_counter()
    try:
        return run_trial(trial, context)
    except Exception as error:
        text = scrubbed(f"{type(error).__name__}: {error}")
        seconds = round(time.perf_counter() - started, 3)
        return TrialFailure(trial.key, trial.to_mapping(), text, seconds)


def untrained(trial: Trial, n_inputs: int, n_classes: int, options: Mapping[str, Any]) -> Head:
    """The head of a trial as training starts with it, with one candidate's options.

    Raises
    ------
    InputError: options that do not exist or do not fit together, or a frozen part that the head doesn't have.
    """
    own = {key: each for key, each in {**trial.settings, **options}.items() if not key.startswith(TRAINING)}
    generator = torch.Generator().manual_seed(trial.seed)
    head_context = HeadContext(n_inputs, n_classes, load_backend(trial.backend), generator)
    qubits = trial.n_qubits if trial.head in QUANTUM_HEADS else None
    head = build_head(trial.head, head_options(trial.head, own, n_qubits=qubits), head_context)
    parts = dict(head.named_children())
    for name in trial.frozen:
        if name not in parts:
            raise UnknownNameError(f"part of head {trial.head!r} to freeze:", name, parts)
        parts[name].requires_grad_(False)
    return head


def training_of(trial: Trial, options: Mapping[str, Any]) -> TrainingConfig:
    """How a candidate is trained; the trial's seed decides the order of batches too.

    Raises
    ------
    InputError: a training option that does not exist, or a seed among them.
    """
    given = {
        key.removeprefix(TRAINING): each
        for key, each in {**trial.settings, **options}.items()
        if key.startswith(TRAINING)
    }
    if "seed" in given:
        raise InputError("training.seed was set in a study", expected="seeds of the study itself")
    return from_mapping(TrainingConfig, given | {"seed": trial.seed}, what="training option")


def _search(
    trial: Trial, context: TrialContext, splits: Splits, scaler: Scaler
) -> tuple[_Fitted, list[dict[str, Any]]]:
    best: _Fitted | None = None
    candidates: list[dict[str, Any]] = []
    training, validation = (
        Labelled(scaler(part.embeddings), part.labels) for part in (splits.train, splits.validation)
    )
    search = Search(parse_space(trial.space, "search space of"), trial.budget, trial.seed)
    for proposal in search.candidates():
        try:
            found = _fit(trial, context, training, validation, proposal)
        except InputError as error:
            # A learning rate that made the loss infinite is an answer of the search, not its end.
            proposal.tell(None)
            candidates.append({"options": proposal.options, "error": str(error)})
            continue
        proposal.tell(found.validation.accuracy)
        candidates.append({"options": proposal.options, **found.validation.to_mapping("validation_")})
        if best is None or found.score > best.score:
            best = found
    if best is None:
        raise InputError(f"none of {len(candidates)} candidates could be trained: {candidates[0]['error']}")
    return best, candidates


def _fit(
    trial: Trial, context: TrialContext, training: Labelled, validation: Labelled, proposal: Proposal
) -> _Fitted:
    head = untrained(trial, context.n_inputs, context.n_classes, proposal.options)
    with _complaints() as complaints:
        outcome = train(head, training, validation, training_of(trial, proposal.options))
    verdict = (
        convergence.of_solver(complaints)
        if isinstance(head, Solvable)
        else convergence.of_history(outcome.history)
    )
    return _Fitted(proposal, head, evaluate(head, validation, _BATCH), verdict)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What solvers say when they stop before their tolerance; other warnings go their way."""
    from sklearn.exceptions import ConvergenceWarning

    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield said
    for each in caught:
        if issubclass(each.category, ConvergenceWarning):
            said.append(str(each.message).splitlines()[0])
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
