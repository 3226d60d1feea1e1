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

from hybridqies.backends.jobs.scrubbing import scrub
from hybridqies.engine import watch_compilation
from hybridqies.errors import InputError
from hybridqies.heads import Head
from hybridqies.runs import PreparedRun
from hybridqies.study.context import Source, TrialContext
from hybridqies.study.head_plan import Scaling
from hybridqies.study.layout import Cohorts, lay_out, prepare_trial
from hybridqies.study.scaling import fit_scaler
from hybridqies.study.seal import Reading, SealedTest
from hybridqies.study.search import Proposal, Search, parse_space
from hybridqies.study.trials.journal import TrialJournal
from hybridqies.study.trials.kind import TrialKind
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import PROTOCOL, Outcome, Trial, TrialRecord
from hybridqies.tasks import TaskData, digest_circuits, load_task
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
    reliability,
)
from hybridqies.training.diagnosis import judge_history, judge_solver
from hybridqies.training.objectives import Solvable
from hybridqies.training.progress import Outcome as FitOutcome

# Recorded log-losses depend on it, in their last bits.
_BATCH = 128


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model that is built, and the rows that it is trained and chosen on, scaled."""

    prepared: PreparedRun
    scaler: Callable[[Rows], Rows] | None
    training: Rows
    validation: Rows

    @classmethod
    def of(cls, prepared: PreparedRun, scaling: Scaling) -> _Candidate:
        data, spec, drawn = prepared.tune(prepared.arm), prepared.arm.spec, prepared.drawn
        training, validation = (data.rows(part, spec) for part in (drawn.train, drawn.validation))
        scaler = fit_scaler(scaling, training)
        if scaler is not None:
            training, validation = scaler(training), scaler(validation)
        return cls(prepared, scaler, training, validation)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A trial with the candidate of its defaults; the test part is sealed."""

    trial: Trial
    context: TrialContext
    own: _Candidate
    test: SealedTest

    @classmethod
    def of(cls, trial: Trial, context: TrialContext) -> _Opened:
        """Refuses a context that is not what the trial was planned on."""
        context.check_is(trial.data_fingerprint, trial.encoder_fingerprint)
        prepared = prepare_trial(trial, context)
        _check_circuits(trial, prepared)
        own = _Candidate.of(prepared, Scaling(trial.scaling))
        return cls(trial, context, own, SealedTest(prepared.drawn.test))

    def candidate(self, proposal: Proposal) -> _Candidate:
        """The candidate with those options; that of the defaults is there already."""
        if not proposal.options:
            return self.own
        prepared = prepare_trial(self.trial, self.context, proposal.options)
        if prepared.arm.spec.tuning:
            # The options of its training decide its encoder as well.
            return _Candidate.of(prepared, Scaling(self.trial.scaling))
        return replace(self.own, prepared=prepared)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One candidate after training, and the data that its head reads; the highest `score` is chosen."""

    proposal: Proposal
    candidate: _Candidate
    data: TaskData
    validation: Measurement
    score: tuple[float, float]
    convergence: Convergence

    @property
    def head(self) -> Head:
        """The trained head."""
        return self.candidate.prepared.arm.head

    def rows(self, part: Any) -> Rows:
        """A drawn part as the head reads it."""
        rows = self.data.rows(part, self.candidate.prepared.arm.spec)
        return rows if self.candidate.scaler is None else self.candidate.scaler(rows)

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

    A trial's time is its even share, with what its rows took at another time. Once all are trained, an error
    is that of one trial alone.

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
        share = seconds() / len(trials)
    saved = [0.0 if isinstance(fitted, InputError) else fitted.data.saved_seconds for fitted in found]
    return tuple(
        replace(outcome, seconds=round(share + more, 3))
        for outcome, more in zip(outcomes, saved, strict=True)
    )


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
    reading = opened.test.measure(lambda part: _read(best, best.rows(part))) if trial.tested else Reading({})
    return TrialRecord(
        key=trial.key,
        trial=trial.to_mapping(),
        chosen=best.proposal.options,
        candidates=tuple(candidates),
        validation=best.validation.to_mapping(),
        test=reading.metrics,
        predictions=reading.predictions,
        truth=reading.truth,
        n_parameters=best.head.n_trained() + best.data.n_tuned,
        converged=best.convergence.reached,
        convergence=best.convergence.why,
        seconds=round(seconds() + best.data.saved_seconds, 3),
        reliability=reading.reliability,
        n_inputs=best.head.n_inputs,
    )


def _read(fitted: _Fitted, rows: Rows) -> Reading:
    """What is measured on test rows; with classes also each row's predicted and true one."""
    model = fitted.head
    if not fitted.data.classes:
        return Reading(_measure(fitted.candidate, fitted.data, rows).to_mapping())
    assert isinstance(rows, Labelled)
    batch = prediction_batch(model, len(rows), _BATCH)
    probabilities = predict_probabilities(model, rows.inputs, batch)
    labels = rows.labels.cpu().numpy()
    predictions = tuple(probabilities.argmax(axis=1).tolist())
    return Reading(
        measure(probabilities, labels).to_mapping(),
        predictions,
        tuple(labels.tolist()),
        tuple(reliability(probabilities, labels)),
    )


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
        candidates = [each.candidate(proposal) for each in group]
    except InputError as error:
        return [error] * len(group)
    trainings = _stackable(group, candidates)
    with _complaints() as complaints:
        outcomes = _fit_alone(candidates) if trainings is None else fit_many(trainings)
    return [
        outcome if isinstance(outcome, InputError) else _judge(proposal, each, opened, outcome, complaints)
        for each, opened, outcome in zip(candidates, group, outcomes, strict=True)
    ]


def _stackable(group: Sequence[_Opened], candidates: Sequence[_Candidate]) -> list[Training] | None:
    """What `fit_many` takes, of a single trial as well: so its numbers don't depend on who else is stacked.

    None where trials are not trained in a stack.
    """
    if not all(each.trial.budget == 1 and lay_out(each.trial, each.context).stacked for each in group):
        return None
    trainings = []
    for each in candidates:
        objective, config = _objective(each), each.prepared.config.training
        if not isinstance(objective, CrossEntropy):
            return None
        assert isinstance(each.training, Labelled)
        assert isinstance(each.validation, Labelled)
        trainings.append(Training(each.prepared.arm.model, each.training, each.validation, objective, config))
    return trainings


def _fit_alone(candidates: Sequence[_Candidate]) -> Sequence[FitOutcome | InputError]:
    outcomes: list[FitOutcome | InputError] = []
    for each in candidates:
        model, config = each.prepared.arm.model, each.prepared.config.training
        try:
            outcomes.append(fit(model, each.training, each.validation, _objective(each), config))
        except InputError as error:
            outcomes.append(error)
    return outcomes


def _objective(candidate: _Candidate) -> Objective[Any]:
    return candidate.prepared.data.objective(candidate.prepared.config.training, candidate.training)


def _judge(
    proposal: Proposal, candidate: _Candidate, opened: _Opened, outcome: FitOutcome, complaints: Sequence[str]
) -> _Fitted:
    prepared = candidate.prepared
    solved = isinstance(prepared.arm.head, Solvable)
    verdict = judge_solver(complaints) if solved else judge_history(outcome.history)
    tuned = prepared.tune(prepared.arm)
    data, rows = tuned.tuned_by(prepared.arm.model), candidate.validation
    if data is not tuned:
        rows = data.rows(prepared.drawn.validation, prepared.arm.spec)
    measured = _measure(candidate, data, rows)
    return _Fitted(proposal, candidate, data, measured, _score(measured, opened.trial), verdict)


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


def _measure(candidate: _Candidate, data: TaskData, rows: Rows) -> Measurement:
    head = candidate.prepared.arm.head
    objective = data.objective(candidate.prepared.config.training, rows)
    return objective.measure(head, rows, prediction_batch(head, len(rows), _BATCH))


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


HEAD_TRIALS = TrialKind(
    source=Source.from_mapping,
    trial=Trial.from_mapping,
    record=TrialRecord.from_mapping,
    journal=TrialJournal,
    attempt=attempt,
    cohorts=Cohorts,
    version=PROTOCOL,
)
