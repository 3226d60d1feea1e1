"""Ablation: each module of the paper's head off in turn, paired over seeds with the whole head."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.study.arms import ARMS, arm_of
from hybridqies.study.head_plan import HeadPlan, add_circuits, plan_trial, repeat_on_seeds
from hybridqies.study.kinds.kind import BUDGET, QUBITS, Flag, StudyKind, name_trial, read_names, show_names
from hybridqies.study.plan import check_listed

if TYPE_CHECKING:
    from hybridqies.study.cells import Cell
    from hybridqies.study.context import TrialContext
    from hybridqies.study.trials.journal import StudyState
    from hybridqies.study.trials.trial import Trial

HEAD, WHOLE = "two-module", "whole head"
_UPLOADS = "reuploads"
_CIRCUIT = "circuit."
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the head: what it is called when it is off, what that means, and how it is done.

    `off` takes the settings of the whole head to those without the module; `frozen` are parts that
    stay as they are drawn.
    """

    name: str
    label: str
    meaning: str
    off: Callable[[Settings], Settings]
    frozen: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


def _with(changes: Settings) -> Callable[[Settings], Settings]:
    return lambda whole: {**whole, **changes}


def _product(whole: Settings) -> Settings:
    """The twin without entanglement, which has the options of the whole head and reads every qubit."""
    kept = {key: each for key, each in whole.items() if key != "readout_qubits"}
    return {**kept, **ARMS["two-module-product"].options}


_TABLE = (
    Module(
        "encoder",
        "encoder untrained",
        "the circuits of the first module keep random angles, drawn from ±π with the seed",
        _with({"encoder_spread": math.pi}),
        frozen=("encoders",),
        idle=("training.rates.encoding",),
    ),
    Module("re-upload", "one upload", "the features are uploaded once, N = 1", _with({_UPLOADS: 1})),
    Module("pqc-2", "no PQC 2", "the circuit ends with PQC 1 of the last upload", _with({"pqc2": False})),
    Module(
        "entanglers",
        "no entanglers",
        "rotations alone in both modules, as many angles, the embedding as angles, read on every qubit",
        _product,
        idle=("constant",),
    ),
    Module(
        "long-range",
        "nearest neighbours",
        "rings at distance 1 alone in both modules, C = 1",
        _with({"connectivity": 1, "encoder.connectivity": 1}),
    ),
    Module(
        "readout",
        "readout untrained",
        "the last linear layer keeps the random weights that it is drawn with",
        _with({}),
        frozen=("readout",),
    ),
)

MODULES: dict[str, Module] = {module.name: module for module in _TABLE}


@dataclass(frozen=True, slots=True)
class AblationPlan(HeadPlan):
    """Everything that decides an ablation: of the two-module head, at one number of qubits.

    Settings and search space are the whole head's; every variant has them, but for what is off.

    Raises
    ------
    UnknownNameError: a module that there is not.
    InputError: another head, several numbers of qubits, or other recipes than the head's own.
    """

    kind: str = "ablate"
    arms: tuple[str, ...] = (HEAD,)
    qubits: tuple[int, ...] = (9,)
    seeds: tuple[int, ...] = tuple(range(8))
    modules: tuple[str, ...] = tuple(MODULES)

    def __post_init__(self) -> None:
        HeadPlan.__post_init__(self)
        if self.arms != (HEAD,) or len(self.qubits) != 1:
            raise InputError(
                f"an ablation was given the arms {', '.join(self.arms)} at {list(self.qubits)} qubits",
                expected=f"the arm {HEAD} alone, at one number of qubits",
            )
        for name in self.modules:
            if name not in MODULES:
                raise UnknownNameError("module of the head", name, MODULES)
        check_listed("modules", self.modules)
        for key in ("circuit", "encoder_circuit"):
            if key in self.options.get(HEAD, {}):
                raise InputError(f"an ablation was given {key!r}", expected="the recipes of the paper's head")

    def settings_of_whole(self) -> dict[str, Any]:
        """The settings of the whole head, options of its circuit without their prefix."""
        return {key.removeprefix(_CIRCUIT): each for key, each in self.settings_of(arm_of(HEAD)).items()}


def ablation_trials(plan: AblationPlan, context: TrialContext) -> tuple[Trial, ...]:
    """The whole head and then each variant on the first seed, then on the second, and so on.

    Raises
    ------
    InputError: an option that does not exist or does not fit; or a module that is off already.
    """
    bare = plan_trial(plan, arm_of(HEAD), plan.qubits[0], context)
    whole = add_circuits(replace(bare, settings=plan.settings_of_whole()), context)
    designs = [whole]
    for module in (MODULES[name] for name in plan.modules):
        space = {name: each for name, each in whole.space.items() if name not in module.idle}
        off = replace(whole, settings=module.off(whole.settings), space=space, frozen=module.frozen)
        variant = add_circuits(off, context)
        if (variant.circuits, variant.frozen) == (whole.circuits, whole.frozen):
            raise InputError(
                f"module {module.name!r} is off in the whole head already",
                expected=f"a head where it is on ({module.meaning})",
                todo="leave it out of --modules",
            )
        designs.append(variant)
    return repeat_on_seeds(plan, designs)


def summarise(plan: AblationPlan, planned: Sequence[Trial], state: StudyState) -> dict[str, Any]:
    """The result of an ablation from its records alone: every variant against the whole head."""
    from hybridqies.study.cells import Cell, overview

    modules = [MODULES[name] for name in plan.modules]
    labels = [WHOLE, *(module.label for module in modules)]
    cells = [Cell(label, tuple(planned[at :: len(labels)])) for at, label in enumerate(labels)]
    described: list[dict[str, Any]] = [
        {"module": None, "meaning": "every module as it is"},
        *({"module": module.name, "meaning": module.meaning} for module in modules),
    ]
    return overview(plan, planned, state) | {
        "cells": [
            {**about, **cell.tested(state), **cell.trained(state)}
            for about, cell in zip(described, cells, strict=True)
        ],
        "comparisons": _comparisons(cells, state),
    }


def name_trials(plan: AblationPlan, planned: Sequence[Trial]) -> list[str]:
    """Names such as whole-head/seed-0 and readout-off/seed-0."""
    labels = [WHOLE, *(f"{name}-off" for name in plan.modules)]
    return [name_trial(labels[at % len(labels)], seed=trial.seed) for at, trial in enumerate(planned)]


ABLATION = StudyKind(
    AblationPlan,
    ablation_trials,
    summarise,
    name_trials,
    about="Find what each module of the two-module head is worth by switching it off, on the same seeds.",
    example="hybridqies ablate --data reviews.csv --per-class 256 --qubits 9 --seeds 8 --workers 2",
    settings="An option of every arm (training.epochs=40) or of the whole head (two-module.reuploads=3).",
    flags=(
        Flag(
            "modules",
            "modules",
            f"Modules to switch off in turn, separated by commas, or all: {', '.join(MODULES)}.",
            read_names("--modules", MODULES),
            show_names(MODULES),
        ),
        replace(QUBITS, help="Number of qubits of the second module."),
        BUDGET,
    ),
    family=lambda plan: len(plan.modules),
    report="hybridqies.report.studies.ablate:REPORT",
)


def _comparisons(cells: Sequence[Cell], state: StudyState) -> list[dict[str, Any]]:
    """What shares a seed with the whole head, against it."""
    from hybridqies.study.statistics.comparisons import compare

    whole, *others = cells
    seeds = set(whole.records(state))
    paired = [cell.results(state) for cell in others if seeds & set(cell.records(state))]
    if not paired:
        return []
    compared = compare([whole.results(state), *paired], WHOLE, whole.metrics[0])
    return [each.to_mapping() for each in compared]
