"""The one protocol of every arm: same splits, same scaling, same budget, chosen on validation, tested once.

Bowles, Ahmed, Schuld, "Better than classical? The subtle art of benchmarking quantum machine learning
models", arXiv:2403.07059, is the standard it is written to.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.engine import watch_compilation
from hybridqies.errors import InputError
from hybridqies.runs import PreparedRun
from hybridqies.study.context import TrialContext
from hybridqies.study.layout import lay_out, prepare_trial
from hybridqies.study.plan import Scaling
from hybridqies.study.scaling import fit_scaler
from hybridqies.study.seal import Reading, SealedTest
from hybridqies.study.search import Proposal, Search, parse_space
from hybridqies.study.trials.trial import Outcome, Trial, TrialFailure, TrialRecord
from hybridqies.tasks import digest_circuits, load_task
from hybridqies.training import (
    Convergence,
    CrossEntropy,
    Labelled,
    Measurement,
    Objective,
    Rows,
    SelectOn,
    Training,
    fit,
    fit_many,
    measure,
    predict_probabilities,
    prediction_batch,
)
from hybridqies.training.diagnosis import judge_history, judge_solver
from hybridqies.training.objectives import Solvable
from hybridqies.training.progress import Outcome as FitOutcome

# Recorded log-losses depend on it, in their last bits.
_BATCH = 128


@dataclass(frozen=True, slots=True)
class _Opened:
    """A trial with its seed's parts, scaled, and the model of its defaults; the test part is sealed."""

    trial: Trial
    context: TrialContext
    prepared: PreparedRun
    training: Rows
    validation: Rows
    test: SealedTest

    @classmethod
    def of(cls, trial: Trial, context: TrialContext) -> _Opened:
        """Refuses a context that is not what the trial was planned on."""
        context.check_is(trial.data_fingerprint, trial.encoder_fingerprint)
        prepared = prepare_trial(trial, context)
        _check_circuits(trial, prepared)
        rows = prepared.rows(prepared.arm)
        scaler = fit_scaler(Scaling(trial.scaling), rows.train)
        if scaler is not None:
            rows = rows.map(scaler)
        return cls(trial, context, prepared, rows.train, rows.validation, SealedTest(rows.test))

    def candidate(self, proposal: Proposal) -> PreparedRun:
        """The run of a candidate; that of the defaults is built already."""
        if not proposal.options:
            return self.prepared
        return prepare_trial(self.trial, self.context, proposal.options)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One candidate after training; the one with the highest `score` is chosen."""

    proposal: Proposal
    prepared: PreparedRun
    validation: Measurement
    score: tuple[float, float]
    convergence: Convergence

    @property
    def model(self) -> nn.Module:
        """The trained model."""
        return self.prepared.arm.model

    def describe(self) -> dict[str, Any]:
        """What a record says of a candidate that could be trained."""
        return {"options": self.proposal.options, **self.validation.to_mapping("validation_")}


def run_trial(trial: Trial, context: TrialContext) -> TrialRecord:
    """Searches, chooses on validation, and measures the chosen candidate on the test set, once or never.

    Raises
    ------
    InputError: the context is not what the trial was planned on, or no candidate could be trained.
    """
    with _clock() as seconds:
        opened = _Opened.of(trial, context)
        best, candidates = _search(opened)
        return _record(opened, best, candidates, seconds)


def run_cohort(trials: Sequence[Trial], context: TrialContext) -> tuple[Outcome, ...]:
    """What `run_trial` gives for each of the trials, which `Cohorts` names alike, trained together.

    A trial's time is its even share. Once all are trained, an error is that of one trial alone.

    Raises
    ------
    InputError: as `run_trial` before anything is measured, for any of them; or parts of several sizes.
    """
    with _clock() as seconds:
        opened = [_Opened.of(trial, context) for trial in trials]
        found = _fit(opened, Proposal({}, None, None))
        outcomes: list[Outcome] = []
        for each, fitted in zip(opened, found, strict=True):
            try:
                if isinstance(fitted, InputError):
                    raise InputError(f"none of 1 candidates could be trained: {fitted}")
                outcomes.append(_record(each, fitted, [fitted.describe()], seconds))
            except Exception as error:
                outcomes.append(_failure(each.trial, error, seconds))
        share = round(seconds() / len(trials), 3)
    return tuple(replace(outcome, seconds=share) for outcome in outcomes)


def attempt(trials: Sequence[Trial], context: TrialContext) -> tuple[Outcome, ...]:
    """The records of trials that train together, with errors as failures that are kept; an interrupt passes.

    Where one of several cannot be trained, each is then run by itself: its numbers are the same, and no
    test set has been read.
    """
    if len(trials) > 1:
        with _clock() as seconds:
            try:
                return run_cohort(trials, context)
            except InputError:
                pass
            except Exception as error:
                return tuple(_failure(trial, error, seconds) for trial in trials)
    return tuple(_attempt_alone(trial, context) for trial in trials)


def _attempt_alone(trial: Trial, context: TrialContext) -> Outcome:
    with _clock() as seconds:
        try:
            return run_trial(trial, context)
        except Exception as error:
            return _failure(trial, error, seconds)


@contextmanager
def _clock() -> Iterator[Callable[[], float]]:
    """Gives the seconds since it began, without those in which kernels were compiled."""
    start = time.perf_counter()
    with watch_compilation() as compilation:
        yield lambda: time.perf_counter() - start - compilation.seconds


def _failure(trial: Trial, error: Exception, seconds: Callable[[], float]) -> TrialFailure:
    text = scrub(f"{type(error).__name__}: {error}")
    return TrialFailure(trial.key, trial.to_mapping(), text, round(seconds(), 3))


def _record(
    opened: _Opened, best: _Fitted, candidates: Sequence[Mapping[str, Any]], seconds: Callable[[], float]
) -> TrialRecord:
    """The record of a trial whose choice is made; here the test set is read."""
    trial = opened.trial
    reading = opened.test.measure(lambda rows: _read(best, rows)) if trial.tested else Reading({})
    return TrialRecord(
        key=trial.key,
        trial=trial.to_mapping(),
        chosen=best.proposal.options,
        candidates=tuple(candidates),
        validation=best.validation.to_mapping(),
        test=reading.metrics,
        predictions=reading.predictions,
        truth=reading.truth,
        n_parameters=best.prepared.arm.head.n_trained(),
        converged=best.convergence.reached,
        convergence=best.convergence.why,
        seconds=round(seconds(), 3),
    )


def _read(fitted: _Fitted, rows: Rows) -> Reading:
    """What is measured on test rows; with classes also each row's predicted and true one."""
    model = fitted.model
    if not fitted.prepared.data.classes:
        return Reading(_measure(fitted.prepared, rows).to_mapping())
    assert isinstance(rows, Labelled)
    batch = prediction_batch(model, len(rows), _BATCH)
    probabilities = predict_probabilities(model, rows.inputs, batch)
    labels = rows.labels.cpu().numpy()
    predictions = tuple(probabilities.argmax(axis=1).tolist())
    return Reading(measure(probabilities, labels).to_mapping(), predictions, tuple(labels.tolist()))


def _check_circuits(trial: Trial, prepared: PreparedRun) -> None:
    """Refuses other circuits under the trial's name: a recipe may have been edited since, or elsewhere."""
    if trial.circuits and digest_circuits(prepared.arm.head) != trial.circuits:
        raise InputError(
            f"the circuits of arm {trial.arm!r} are not those that the study began with",
            todo="restore the recipe, or start a new study",
        )


def _search(opened: _Opened) -> tuple[_Fitted, list[dict[str, Any]]]:
    best: _Fitted | None = None
    candidates: list[dict[str, Any]] = []
    trial = opened.trial
    search = Search(parse_space(trial.space, "search space of"), trial.budget, trial.seed)
    for proposal in search.candidates():
        (found,) = _fit([opened], proposal)
        if isinstance(found, InputError):
            # A learning rate at which the loss becomes infinite is a result of the search, not its end.
            proposal.tell(None)
            candidates.append({"options": proposal.options, "error": str(found)})
            continue
        proposal.tell(found.score[0])
        candidates.append(found.describe())
        if best is None or found.score > best.score:
            best = found
    if best is None:
        raise InputError(f"none of {len(candidates)} candidates could be trained: {candidates[0]['error']}")
    return best, candidates


def _fit(group: Sequence[_Opened], proposal: Proposal) -> list[_Fitted | InputError]:
    """One candidate of each trial, or why it could not be trained; trials that search nothing in a stack."""
    try:
        runs = [each.candidate(proposal) for each in group]
    except InputError as error:
        return [error] * len(group)
    objectives = [
        run.data.objective(run.config.training, each.training) for run, each in zip(runs, group, strict=True)
    ]
    trainings = _stackable(group, runs, objectives)
    with _complaints() as complaints:
        outcomes = _fit_alone(group, runs, objectives) if trainings is None else fit_many(trainings)
    return [
        outcome if isinstance(outcome, InputError) else _judge(proposal, run, each, outcome, complaints)
        for run, each, outcome in zip(runs, group, outcomes, strict=True)
    ]


def _stackable(
    group: Sequence[_Opened], runs: Sequence[PreparedRun], objectives: Sequence[Objective[Any]]
) -> list[Training] | None:
    """What `fit_many` takes, of a single trial as well: so its numbers don't depend on who else is stacked.

    None where trials are not trained in a stack.
    """
    if not all(each.trial.budget == 1 and lay_out(each.trial, each.context).stacked for each in group):
        return None
    trainings = []
    for run, each, objective in zip(runs, group, objectives, strict=True):
        if not isinstance(objective, CrossEntropy):
            return None
        assert isinstance(each.training, Labelled)
        assert isinstance(each.validation, Labelled)
        config = run.config.training
        trainings.append(Training(run.arm.model, each.training, each.validation, objective, config))
    return trainings


def _fit_alone(
    group: Sequence[_Opened], runs: Sequence[PreparedRun], objectives: Sequence[Objective[Any]]
) -> Sequence[FitOutcome | InputError]:
    outcomes: list[FitOutcome | InputError] = []
    for run, each, objective in zip(runs, group, objectives, strict=True):
        config = run.config.training
        try:
            outcomes.append(fit(run.arm.model, each.training, each.validation, objective, config))
        except InputError as error:
            outcomes.append(error)
    return outcomes


def _judge(
    proposal: Proposal, run: PreparedRun, opened: _Opened, outcome: FitOutcome, complaints: Sequence[str]
) -> _Fitted:
    solved = isinstance(run.arm.model, Solvable)
    verdict = judge_solver(complaints) if solved else judge_history(outcome.history)
    measured = _measure(run, opened.validation)
    return _Fitted(proposal, run, measured, _score(measured, opened.trial), verdict)


def _score(measured: Measurement, trial: Trial) -> tuple[float, float]:
    """The task's first metric, turned so that higher is better, and among equals the lower loss.

    Raises
    ------
    InputError: the task did not measure one of the metrics that it names.
    """
    metrics, values = load_task(trial.task).metrics, measured.to_mapping()
    for each in metrics:
        if each.name not in values:
            raise InputError(
                f"task {trial.task!r} measured {', '.join(values)}", expected=f"{each.name!r} among them"
            )
    return metrics[0].orient(values[metrics[0].name]), measured.score(SelectOn.LOSS)[0]


def _measure(run: PreparedRun, rows: Rows) -> Measurement:
    model, objective = run.arm.model, run.data.objective(run.config.training, rows)
    return objective.measure(model, rows, prediction_batch(model, len(rows), _BATCH))


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collects the warnings of solvers that stop before their tolerance; other warnings are passed on."""
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
