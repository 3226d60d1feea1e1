"""Screen: which factors move validation accuracy, by a two-level design; seeds are its replicates."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hybridqies.errors import InputError
from hybridqies.options import parse, parse_word
from hybridqies.study.arms import arm_of
from hybridqies.study.head_plan import HeadPlan, add_circuits, plan_trial, repeat_on_seeds
from hybridqies.study.kinds.kind import QUBITS, Flag, StudyKind, name_trial

if TYPE_CHECKING:
    from hybridqies.study.context import TrialContext
    from hybridqies.study.statistics.designs import Design, Factor
    from hybridqies.study.trials.journal import StudyState
    from hybridqies.study.trials.trial import Trial

N_QUBITS, BACKEND, _CIRCUIT = "n_qubits", "backend.", "circuit."

FACTORS: dict[str, list[Any]] = {
    N_QUBITS: [4, 6],
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
class ScreenPlan(HeadPlan):
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

    kind: str = "screen"
    arms: tuple[str, ...] = ("two-module",)
    qubits: tuple[int, ...] = (9,)
    factors: Mapping[str, Any] = field(default_factory=lambda: dict(FACTORS))
    design: TwoLevel = TwoLevel.PLACKETT_BURMAN

    def __post_init__(self) -> None:
        from hybridqies.backends.spec import BackendSpec

        HeadPlan.__post_init__(self)
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
                raise InputError(
                    f"factor {name!r} was also given as a fixed setting", expected="one of the two"
                )
            if not arm.quantum and (name == N_QUBITS or name.startswith(BACKEND)):
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
    from hybridqies.study.statistics.designs import fractional_factorial, plackett_burman

    factors = [_factor(name, levels) for name, levels in plan.factors.items()]
    centre = any(each.centre is not None for each in factors)
    if plan.design is TwoLevel.PLACKETT_BURMAN:
        return plackett_burman(factors, centre=centre)
    return fractional_factorial(
        factors, resolution=int(plan.design.value.removeprefix("resolution-")), centre=centre
    )


def _factor(name: str, levels: Any) -> Factor:
    from hybridqies.study.statistics.designs import Factor

    if not isinstance(levels, list | tuple) or len(levels) not in (2, 3):
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
    bare = plan_trial(plan, arm, plan.qubits[0] if arm.per_qubits else None, context)
    return repeat_on_seeds(
        plan, [add_circuits(_at(bare, levels), context) for levels in design_of(plan).settings()]
    )


def _at(trial: Trial, levels: Mapping[str, Any]) -> Trial:
    """The trial with every factor at its level."""
    from hybridqies.backends.spec import BackendSpec

    spec = BackendSpec.parse(trial.backend)
    ran = {key.removeprefix(BACKEND): each for key, each in levels.items() if key.startswith(BACKEND)}
    own = {key: each for key, each in levels.items() if key != N_QUBITS and not key.startswith(BACKEND)}
    return replace(
        trial,
        n_qubits=levels.get(N_QUBITS, trial.n_qubits),
        settings={**trial.settings, **own},
        backend=str(replace(spec, options={**spec.options, **ran})),
        tested=False,
    )


def summarise(plan: ScreenPlan, planned: Sequence[Trial], state: StudyState) -> dict[str, Any]:
    """The result of a screen from its records alone: every run of the design, and the effects of its factors.

    Effects are of the seeds that every run has. Where there are none, or nothing to judge effects by,
    `screening` is None and `unjudged` says why.
    """
    from hybridqies.study.cells import Cell, overview

    design = design_of(plan)
    runs = design.settings()
    cells = [Cell(f"run {at + 1}", tuple(planned[at :: len(runs)])) for at in range(len(runs))]
    records = [cell.records(state) for cell in cells]
    complete = [seed for seed in plan.seeds if all(seed in found for found in records)]
    metric = cells[0].metrics[0]
    responses = [[found[seed].validation[metric.name] for seed in complete] for found in records]
    result = overview(plan, planned, state) | {
        "response": f"validation {metric.label}",
        "cells": [
            {
                "levels": levels,
                "responses": {str(seed): found[seed].validation[metric.name] for seed in found},
                **cell.trained(state),
            }
            for levels, cell, found in zip(runs, cells, records, strict=True)
        ],
        "left_out": [seed for seed in plan.seeds if seed not in complete],
    }
    return result | _judged(design, responses, complete)


def name_trials(plan: ScreenPlan, planned: Sequence[Trial]) -> list[str]:
    """Names such as run-3/seed-0; the table of a screen counts its runs alike."""
    runs = len(design_of(plan).settings())
    return [name_trial(f"run-{at % runs + 1}", seed=trial.seed) for at, trial in enumerate(planned)]


def _judged(design: Design, responses: list[list[float]], seeds: Sequence[int]) -> dict[str, Any]:
    import numpy as np

    from hybridqies.study.statistics.main_effects import main_effects

    unjudged = {"design": design.to_mapping(), "screening": None}
    if not seeds:
        return unjudged | {"unjudged": "no seed finished every run of the design"}
    try:
        found = main_effects(design, np.array(responses))
    except InputError as error:
        return unjudged | {"unjudged": str(error)}
    return {"design": design.to_mapping(), "screening": found.to_mapping(), "unjudged": None}


def read_factors(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """`key=low,high` words as factors with their levels.

    Raises
    ------
    InputError: a word without "=", or a factor given twice.
    """
    factors: dict[str, list[Any]] = {}
    for pair in pairs:
        key, equals, levels = pair.partition("=")
        if not equals or not key:
            raise InputError(
                f"--factor was given {pair!r}", expected="key=low,high, as in --factor layers=1,3"
            )
        if key in factors:
            raise InputError(f"--factor gives {key!r} twice", expected="each factor once")
        factors[key] = [parse_word(level.strip()) for level in levels.split(",")]
    return factors


def _check_flags(given: Mapping[str, Any]) -> None:
    if "qubits" in given and N_QUBITS in given.get("factors", FACTORS):
        raise InputError(f"--qubits was given, and {N_QUBITS} is a factor", expected="one of the two")


SCREEN = StudyKind(
    ScreenPlan,
    screen_trials,
    summarise,
    name_trials,
    about="Find which settings matter: main effects on validation accuracy, with two levels for each.",
    example="hybridqies screen --data reviews.csv --per-class 256 --factor reuploads=1,3 --factor layers=1,3",
    settings="An option that stays fixed: training.epochs=40 or two-module.merge=sum.",
    flags=(
        Flag(
            "arm", "arms", "The arm whose settings are screened.", lambda word: (arm_of(word).name,), ",".join
        ),
        Flag(
            "factor",
            "factors",
            "An option and its two levels, such as connectivity=1,3, training.learning_rate=0.001,0.01, "
            "n_qubits=4,8 or backend.shots=none,256. May be repeated. "
            "LOW,CENTRE,HIGH for every factor adds a centre run.",
            read_factors,
            lambda factors: f"the {len(factors)} factors of the paper",
            metavar="KEY=LOW,HIGH",
            repeated=True,
        ),
        Flag(
            "design",
            "design",
            f"One of {', '.join(each.value for each in TwoLevel)}.",
            lambda word: parse(word, TwoLevel, "--design"),
            lambda design: str(design.value),
        ),
        replace(QUBITS, help="Number of qubits, unless n_qubits is a factor."),
    ),
    check_flags=_check_flags,
    report="hybridqies.report.studies.screen:REPORT",
)
