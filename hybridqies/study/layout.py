"""From a trial to a prepared run, the way that every run is assembled, and what a design comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hybridqies.backends import DEFAULT_BACKEND, load_backend
from hybridqies.circuit import Circuit
from hybridqies.errors import InputError
from hybridqies.heads import head_class
from hybridqies.options import from_mapping
from hybridqies.runs import PreparedRun, RunConfig, prepare
from hybridqies.study.context import TrialContext
from hybridqies.study.trials.trial import TRAINING, Trial
from hybridqies.tasks import digest_circuits
from hybridqies.tasks.building import build_head_of
from hybridqies.training import TrainingConfig, why_alone
from hybridqies.tuning.spec import TUNE, read_tuning, split_settings

EPOCHS = 20
"""Of every training in a study that says nothing else, so that all arms have the same budget."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a design comes to on a study's data: a digest of its circuits, its parameters, its training.

    `stacked` says whether trials that differ in their seed alone are trained together.
    """

    circuits: str
    n_parameters: int
    stacked: bool


def config_of(trial: Trial, options: Mapping[str, Any] | None = None) -> RunConfig:
    """The run that a trial is, with one candidate's options.

    Raises
    ------
    InputError: a training option that does not exist, or a seed among them.
    """
    tuned, settings = split_settings({**trial.settings, **(options or {})})
    tuning = read_tuning(settings.pop(TUNE, None), tuned)
    return RunConfig(
        task=trial.task,
        data=trial.data,
        encoder=trial.encoder,
        head=trial.head,
        n_qubits=trial.n_qubits if head_class(trial.head).runs_circuit else None,
        settings={key: each for key, each in settings.items() if not key.startswith(TRAINING)},
        frozen=trial.frozen,
        tuning=tuning,
        compare=(),
        backend=trial.backend,
        training=_training_of(trial, settings),
    )


def prepare_trial(
    trial: Trial, context: TrialContext, options: Mapping[str, Any] | None = None
) -> PreparedRun:
    """The trial as a run whose model is built, with one candidate's options.

    Raises
    ------
    InputError: options that do not exist or do not fit together, or a frozen part that the head doesn't have.
    DataError: the data leaves a part without rows.
    """
    return prepare(config_of(trial, options), context.data)


def lay_out(trial: Trial, context: TrialContext) -> Layout:
    """What the trial comes to with its defaults; each design's model is built once, whatever its seed.

    Raises
    ------
    InputError: as `prepare_trial`.
    """
    key = replace(trial, seed=0, circuits="", budget=1, space={}).key
    if key not in context.layouts:
        prepared = prepare_trial(replace(trial, seed=0), context)
        head = prepared.arm.head
        # An encoder that is trained with the head is not one of a stack.
        stacked = head is prepared.arm.model and why_alone(head, prepared.config.training) is None
        context.layouts[key] = Layout(digest_circuits(head), head.n_trained(), stacked)
    return context.layouts[key]


def rebuild_circuits(trial: Trial, n_inputs: int, n_classes: int) -> dict[str, Circuit]:
    """The circuits that the trial's head began with, by role, built again from its settings; none is run.

    `n_inputs` is the width of what the head reads.

    Raises
    ------
    InputError: a recipe that is gone, or is no longer what the trial was run with.
    """
    head = build_head_of(config_of(trial).spec(), n_inputs, n_classes, load_backend(DEFAULT_BACKEND), 0)
    if digest_circuits(head) != trial.circuits:
        raise InputError(
            f"the circuits of arm {trial.arm!r} are not those that the study was run with",
            todo="restore the recipe",
        )
    return head.circuits()


class Cohorts:
    """Names trials so that those with one name are trained together: all but their seeds are the same.

    A trial whose head is not stacked, or that searches, has its own key for a name: later candidates of a
    search differ from seed to seed.
    """

    def __init__(self, context: TrialContext) -> None:
        self.context = context

    def __call__(self, trial: Trial) -> str:
        """The name of the trial's cohort."""
        if trial.budget == 1 and lay_out(trial, self.context).stacked:
            return replace(trial, seed=0).key
        return trial.key


def _training_of(trial: Trial, settings: Mapping[str, Any]) -> TrainingConfig:
    given = {key.removeprefix(TRAINING): each for key, each in settings.items() if key.startswith(TRAINING)}
    if "seed" in given:
        raise InputError("training.seed was set in a study", expected="seeds of the study itself")
    return from_mapping(
        TrainingConfig, {"epochs": EPOCHS} | given | {"seed": trial.seed}, what="training option"
    )
