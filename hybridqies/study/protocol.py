"""The one protocol of every arm: same splits, same scaling, same budget, chosen on validation, tested once.

Bowles, Ahmed, Schuld, "Better than classical? The subtle art of benchmarking quantum machine learning
models", arXiv:2403.07059, is the standard it is written to.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.errors import InputError
from hybridqies.heads import head_class
from hybridqies.heads.base import Head
from hybridqies.options import from_mapping
from hybridqies.runs.assembly import prepare
from hybridqies.runs.config import RunConfig
from hybridqies.study.context import Scaler, Splits, TrialContext
from hybridqies.study.plan import Scaling
from hybridqies.study.search import Proposal, Search, parse_space
from hybridqies.study.trials.trial import TRAINING, Outcome, Trial, TrialFailure, TrialRecord
from hybridqies.tasks import digest_circuits
from hybridqies.training import (
    Convergence,
    CrossEntropy,
    Labelled,
    Metrics,
    Training,
    TrainingConfig,
    fit_many,
    predict_probabilities,
    prediction_batch,
    why_alone,
)
from hybridqies.training.diagnosis import judge_history, judge_solver
from hybridqies.training.objectives import Solvable
from hybridqies.training.progress import Outcome as FitOutcome

EPOCHS = 20
"""Of every training in a study that says nothing else, so that all arms have the same budget."""

# Recorded log-losses depend on it, in their last bits.
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


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A trial and its seed's parts, scaled but for the sealed one."""

    trial: Trial
    splits: Splits
    scaler: Scaler
    training: Labelled
    validation: Labelled

    @classmethod
    def of(cls, trial: Trial, context: TrialContext) -> _Prepared:
        """Refuses a context that is not what the trial was planned on."""
        context.check_is(trial.data_fingerprint, trial.encoder_fingerprint)
        _check_circuits(trial, context)
        splits = context.splits(trial.seed)
        scaler = Scaler.fit(Scaling(trial.scaling), splits.train.inputs)
        training, validation = (
            Labelled(scaler(part.inputs), part.labels) for part in (splits.train, splits.validation)
        )
        return cls(trial, splits, scaler, training, validation)


def run_trial(trial: Trial, context: TrialContext) -> TrialRecord:
    """Searches, chooses on validation, and measures the chosen candidate on the test set, once or never.

    Raises
    ------
    InputError: the context is not what the trial was planned on, or no candidate could be trained.
    """
    started = time.perf_counter()
    prepared = _Prepared.of(trial, context)
    best, candidates = _search(prepared, context)
    return _record(prepared, best, candidates, started)


def run_cohort(trials: Sequence[Trial], context: TrialContext) -> tuple[Outcome, ...]:
    """What `run_trial` gives for each of the trials, which `Cohorts` names alike, trained in one stack.

    A trial's time is its even share. Once all are trained, an error is that of one trial alone.

    Raises
    ------
    InputError: as `run_trial` before anything is measured, for any of them; or parts of several sizes.
    """
    started = time.perf_counter()
    prepared = [_Prepared.of(trial, context) for trial in trials]
    found = _fit(prepared, context, Proposal({}, None, None))
    outcomes: list[Outcome] = []
    for each, fitted in zip(prepared, found, strict=True):
        try:
            if isinstance(fitted, InputError):
                raise InputError(f"none of 1 candidates could be trained: {fitted}")
            outcomes.append(_record(each, fitted, [_told(fitted)], started))
        except Exception as error:
            outcomes.append(_failure(each.trial, error, started))
    share = round((time.perf_counter() - started) / len(trials), 3)
    return tuple(replace(outcome, seconds=share) for outcome in outcomes)


def _record(
    prepared: _Prepared, best: _Fitted, candidates: Sequence[Mapping[str, Any]], started: float
) -> TrialRecord:
    """The record of a trial whose choice is made; here the test set is read."""
    trial, reading = prepared.trial, None
    if trial.tested:
        reading = prepared.splits.test.measure(
            lambda embeddings: predict_probabilities(
                best.head,
                prepared.scaler(embeddings),
                prediction_batch(best.head, len(embeddings), _BATCH),
            )
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


def _check_circuits(trial: Trial, context: TrialContext) -> None:
    """Refuses other circuits under the trial's name: a recipe may have been edited since, or elsewhere."""
    now = digest_circuits(untrained(trial, context, {}))
    if trial.circuits and now != trial.circuits:
        raise InputError(
            f"the circuits of arm {trial.arm!r} are not those that the study began with",
            todo="put the recipe back as it was, or begin a new study",
        )


def attempt(trials: Sequence[Trial], context: TrialContext) -> tuple[Outcome, ...]:
    """The records of trials that train together, with errors as failures that are kept; an interrupt passes.

    Where one of several cannot be trained, each is then run by itself: its numbers are the same, and no
    test set has been read.
    """
    started = time.perf_counter()
    if len(trials) > 1:
        try:
            return run_cohort(trials, context)
        except InputError:
            pass
        except Exception as error:
            return tuple(_failure(trial, error, started) for trial in trials)
    return tuple(_attempt_alone(trial, context) for trial in trials)


def _attempt_alone(trial: Trial, context: TrialContext) -> Outcome:
    started = time.perf_counter()
    try:
        return run_trial(trial, context)
    except Exception as error:
        return _failure(trial, error, started)


def _failure(trial: Trial, error: Exception, started: float) -> TrialFailure:
    text = scrub(f"{type(error).__name__}: {error}")
    return TrialFailure(trial.key, trial.to_mapping(), text, round(time.perf_counter() - started, 3))


class Cohorts:
    """Names trials so that those with one name are trained together: all but their seeds are the same.

    A trial whose head is not stacked, or that searches, has its own key for a name: later candidates of a
    search differ from seed to seed.
    """

    def __init__(self, context: TrialContext) -> None:
        self.context = context
        self._stacked: dict[str, bool] = {}

    def __call__(self, trial: Trial) -> str:
        """The name of the trial's cohort."""
        shared = replace(trial, seed=0).key
        if shared not in self._stacked:
            self._stacked[shared] = _is_stacked(trial, untrained(trial, self.context, {}))
        return shared if self._stacked[shared] else trial.key


def _is_stacked(trial: Trial, head: Head) -> bool:
    """Whether a trial trains in a stack, be it of one; its numbers then don't depend on who else is in it."""
    return trial.budget == 1 and why_alone(head, training_of(trial, {})) is None


def untrained(trial: Trial, context: TrialContext, options: Mapping[str, Any]) -> Head:
    """The head of a trial as training starts with it, with one candidate's options.

    Raises
    ------
    InputError: options that do not exist or do not fit together, or a frozen part that the head doesn't have.
    """
    return prepare(run_config(trial, options), context.data).arm.head


def run_config(trial: Trial, options: Mapping[str, Any]) -> RunConfig:
    """The run that a trial is, with one candidate's options.

    Raises
    ------
    InputError: a training option that does not exist, or a seed among them.
    """
    own = {key: each for key, each in {**trial.settings, **options}.items() if not key.startswith(TRAINING)}
    return RunConfig(
        data=trial.data,
        encoder=trial.encoder,
        head=trial.head,
        n_qubits=trial.n_qubits if head_class(trial.head).runs_circuit else None,
        settings=own,
        frozen=trial.frozen,
        compare=(),
        backend=trial.backend,
        training=training_of(trial, options),
    )


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
    return from_mapping(
        TrainingConfig, {"epochs": EPOCHS} | given | {"seed": trial.seed}, what="training option"
    )


def _search(prepared: _Prepared, context: TrialContext) -> tuple[_Fitted, list[dict[str, Any]]]:
    best: _Fitted | None = None
    candidates: list[dict[str, Any]] = []
    trial = prepared.trial
    search = Search(parse_space(trial.space, "search space of"), trial.budget, trial.seed)
    for proposal in search.candidates():
        (found,) = _fit([prepared], context, proposal)
        if isinstance(found, InputError):
            # A learning rate that made the loss infinite is an answer of the search, not its end.
            proposal.tell(None)
            candidates.append({"options": proposal.options, "error": str(found)})
            continue
        proposal.tell(found.validation.accuracy)
        candidates.append(_told(found))
        if best is None or found.score > best.score:
            best = found
    if best is None:
        raise InputError(f"none of {len(candidates)} candidates could be trained: {candidates[0]['error']}")
    return best, candidates


def _told(found: _Fitted) -> dict[str, Any]:
    """What a record tells of a candidate that could be trained."""
    return {"options": found.proposal.options, **found.validation.to_mapping("validation_")}


def _fit(group: Sequence[_Prepared], context: TrialContext, proposal: Proposal) -> list[_Fitted | InputError]:
    """One candidate of each trial, or why it could not be trained; trials that search nothing in a stack."""
    try:
        heads = [untrained(each.trial, context, proposal.options) for each in group]
        configs = [training_of(each.trial, proposal.options) for each in group]
    except InputError as error:
        return [error] * len(group)
    trainings = [
        Training(head, each.training, each.validation, config)
        for head, each, config in zip(heads, group, configs, strict=True)
    ]
    with _complaints() as complaints:
        alone = len(group) == 1 and group[0].trial.budget > 1
        outcomes = (_fit_alone(trainings[0]),) if alone else fit_many(trainings)
    found: list[_Fitted | InputError] = []
    for head, each, outcome in zip(heads, group, outcomes, strict=True):
        if isinstance(outcome, InputError):
            found.append(outcome)
            continue
        verdict = judge_solver(complaints) if isinstance(head, Solvable) else judge_history(outcome.history)
        batch = prediction_batch(head, len(each.validation), _BATCH)
        measured = CrossEntropy().measure(head, each.validation, batch)
        found.append(_Fitted(proposal, head, measured, verdict))
    return found


def _fit_alone(training: Training) -> FitOutcome | InputError:
    """A candidate of a search, which is never stacked: later ones differ from seed to seed."""
    try:
        return training.fit()
    except InputError as error:
        return error


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
