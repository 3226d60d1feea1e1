"""Screen: which factors move validation accuracy, by a two-level design; seeds are its replicates."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hybridqies.backends.spec import BackendSpec
from hybridqies.errors import InputError
from hybridqies.study.arms import arm_of
from hybridqies.study.cells import Cell
from hybridqies.study.conduct import Study, overview
from hybridqies.study.context import TrialContext
from hybridqies.study.plan import Kind, StudyPlan, laid_out, on_every_seed, planned_trial
from hybridqies.study.statistics.designs import Design, Factor, fractional_factorial, plackett_burman
from hybridqies.study.statistics.main_effects import main_effects
from hybridqies.study.trials.journal import StudyState
from hybridqies.study.trials.trial import Trial

QUBITS, BACKEND, _CIRCUIT = "n_qubits", "backend.", "circuit."
RESPONSE = "validation accuracy"

FACTORS: dict[str, list[Any]] = {
    QUBITS: [4, 6],
    "layers": [1, 2],
    "connectivity": [1, 3],
    "encoder.layers": [2, 6],
    "encoder.connectivity": [1, 3],
    "training.learning_rate": [0.001, 0.01],
    "reuploads": [1, 3],
    "encoders": [2, 8],
    BACKEND + "shots": ["none", 256],
    BACKEND + "p2": [0.0, 0.01],
}
"""The paper's factors with their low and high levels, for the two-module head."""


class TwoLevel(enum.Enum):
    """Which two-level design: Plackett-Burman, or the smallest regular fraction of a resolution."""

    PLACKETT_BURMAN = "plackett-burman"
    RESOLUTION_3 = "resolution-3"
    RESOLUTION_4 = "resolution-4"
    RESOLUTION_5 = "resolution-5"


@dataclass(frozen=True, slots=True)
class ScreenPlan(StudyPlan):
    """Everything that decides a screen: of one arm, between two levels of each factor.

    A factor is a setting of the head, of its training (`training.`) or of the backend (`backend.`), or it is
    `n_qubits`. Its levels are a list of low and high, or, for all, of low, centre and high; that adds a
    centre run.

    Raises
    ------
    InputError: several arms or numbers of qubits, a search, a factor that is fixed as well or has no effect
        on the arm, or levels that are no two or three.
    MissingExtraError: the library of designs is not installed.
    """

    kind: Kind = Kind.SCREEN
    arms: tuple[str, ...] = ("two-module",)
    qubits: tuple[int, ...] = (9,)
    reference: str = "two-module"
    factors: Mapping[str, Any] = field(default_factory=lambda: dict(FACTORS))
    design: TwoLevel = TwoLevel.PLACKETT_BURMAN

    def __post_init__(self) -> None:
        StudyPlan.__post_init__(self)
        if len(self.arms) != 1 or len(self.qubits) != 1 or self.budget != 1:
            raise InputError(
                f"a screen was given the arms {', '.join(self.arms)} at {list(self.qubits)} qubits"
                f" with a budget of {self.budget}",
                expected="one arm at one number of qubits, and no search: its settings are what is screened",
            )
        arm = arm_of(self.arms[0])
        fixed = {key.removeprefix(_CIRCUIT) for key in self.settings_of(arm)}
        fixed |= {BACKEND + name for name in BackendSpec.parse(self.backend).options}
        for name in self.factors:
            if name.removeprefix(_CIRCUIT) in fixed:
                raise InputError(f"factor {name!r} was fixed as well", expected="one: a factor varies")
            if not arm.quantum and (name == QUBITS or name.startswith(BACKEND)):
                raise InputError(
                    f"factor {name!r} was given for arm {arm.name!r}", expected="an arm that has a circuit"
                )
        design_of(self)


def design_of(plan: ScreenPlan) -> Design:
    """The design of a screen's plan, from its factors alone.

    Raises
    ------
    InputError: levels that are no two or three, or factors that no such design has.
    """
    factors = [_factor(name, levels) for name, levels in plan.factors.items()]
    centre = any(each.centre is not None for each in factors)
    if plan.design is TwoLevel.PLACKETT_BURMAN:
        return plackett_burman(factors, centre=centre)
    return fractional_factorial(
        factors, resolution=int(plan.design.value.removeprefix("resolution-")), centre=centre
    )


def _factor(name: str, levels: Any) -> Factor:
    if not isinstance(levels, list) or len(levels) not in (2, 3):
        raise InputError(
            f"factor {name!r} was given the levels {levels!r}",
            expected="low and high, or low, centre and high",
        )
    return Factor(name, levels[0], levels[-1], levels[1] if len(levels) == 3 else None)


def screen_trials(plan: ScreenPlan, context: TrialContext) -> tuple[Trial, ...]:
    """Every run of the design on the first seed, then on the second, and so on; test sets stay sealed.

    Raises
    ------
    InputError: a factor or level that does not exist or does not fit.
    """
    arm = arm_of(plan.arms[0])
    bare = planned_trial(plan, arm, plan.qubits[0] if arm.per_qubits else None, context)
    return on_every_seed(
        plan, [laid_out(_at(bare, levels), context) for levels in design_of(plan).settings()]
    )


def _at(trial: Trial, levels: Mapping[str, Any]) -> Trial:
    """The trial with every factor at its level."""
    spec = BackendSpec.parse(trial.backend)
    ran = {key.removeprefix(BACKEND): each for key, each in levels.items() if key.startswith(BACKEND)}
    own = {key: each for key, each in levels.items() if key != QUBITS and not key.startswith(BACKEND)}
    return replace(
        trial,
        n_qubits=levels.get(QUBITS, trial.n_qubits),
        settings={**trial.settings, **own},
        backend=str(replace(spec, options={**spec.options, **ran})),
        tested=False,
    )


def summarise(plan: ScreenPlan, planned: Sequence[Trial], state: StudyState) -> dict[str, Any]:
    """The result of a screen from its records alone: every run of the design, and the effects of its factors.

    Effects are of the seeds that every run has. Where there are none, or nothing to judge effects by,
    `screening` is None and `unjudged` says why.
    """
    design = design_of(plan)
    runs = design.settings()
    cells = [Cell(f"run {at + 1}", tuple(planned[at :: len(runs)])) for at in range(len(runs))]
    records = [cell.records(state) for cell in cells]
    complete = [seed for seed in plan.seeds if all(seed in found for found in records)]
    responses = [[found[seed].validation["accuracy"] for seed in complete] for found in records]
    result = overview(plan, planned, state) | {
        "response": RESPONSE,
        "cells": [
            {
                "levels": levels,
                "responses": {str(seed): found[seed].validation["accuracy"] for seed in found},
                **cell.trained(state),
            }
            for levels, cell, found in zip(runs, cells, records, strict=True)
        ],
        "left_out": [seed for seed in plan.seeds if seed not in complete],
    }
    return result | _judged(design, responses, complete)


def _judged(design: Design, responses: list[list[float]], seeds: Sequence[int]) -> dict[str, Any]:
    unjudged = {"design": design.to_mapping(), "screening": None}
    if not seeds:
        return unjudged | {"unjudged": "no seed has come through in every run of the design"}
    try:
        found = main_effects(design, np.array(responses))
    except InputError as error:
        return unjudged | {"unjudged": str(error)}
    return {"design": design.to_mapping(), "screening": found.to_mapping(), "unjudged": None}


SCREEN = Study(ScreenPlan, screen_trials, summarise)
