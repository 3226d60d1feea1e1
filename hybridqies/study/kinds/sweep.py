"""Sweep: accuracy against the number of qubits, for every arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridqies.study.arms import ARMS, arm_of
from hybridqies.study.head_plan import HeadPlan, add_circuits, plan_trial, repeat_on_seeds
from hybridqies.study.kinds.kind import BUDGET, QUBITS, Flag, StudyKind, name_trial, read_names, show_names

if TYPE_CHECKING:
    from hybridqies.study.cells import Cell
    from hybridqies.study.context import TrialContext
    from hybridqies.study.statistics.comparisons import ArmResults
    from hybridqies.study.trials.journal import StudyState
    from hybridqies.study.trials.trial import Trial


@dataclass(frozen=True, slots=True)
class SweepPlan(HeadPlan):
    """Everything that decides a sweep: its arms, and the numbers of qubits of those that have some."""

    kind: str = "sweep"
    arms: tuple[str, ...] = tuple(ARMS)
    qubits: tuple[int, ...] = (2, 4, 6, 8, 10, 12)


def sweep_trials(plan: HeadPlan, context: TrialContext) -> tuple[Trial, ...]:
    """The trials of a sweep, seed by seed; arms whose numbers don't depend on qubits run once a seed.

    Every head is built once, so that what cannot be built is refused before anything is trained.

    Raises
    ------
    InputError: an option that does not exist or does not fit, by the first arm that has it.
    """
    designs = [
        add_circuits(plan_trial(plan, arm, count, context), context)
        for arm in map(arm_of, plan.arms)
        for count in _qubits_of(plan, arm.name)
    ]
    return repeat_on_seeds(plan, designs)


def summarise(plan: HeadPlan, planned: Sequence[Trial], state: StudyState) -> dict[str, Any]:
    """The result of a sweep from its records alone: every arm at every number of qubits, over seeds.

    Raises
    ------
    InputError: records of arms that were searched with different budgets.
    """
    from hybridqies.study.cells import overview

    cells = _cells(planned)
    return overview(plan, planned, state) | {
        "cells": [_summary(cell, plan, state) for cell in cells],
        "comparisons": _comparisons(plan, cells, state),
    }


def name_trials(plan: HeadPlan, planned: Sequence[Trial]) -> list[str]:  # noqa: ARG001
    """Names such as two-module/4-qubits/seed-0."""
    return [name_trial(*_words(trial.arm, trial.n_qubits), seed=trial.seed) for trial in planned]


def _words(arm: str, n_qubits: int | None) -> tuple[str, ...]:
    return (arm,) if n_qubits is None else (arm, f"{n_qubits}-qubits")


def _qubits_of(plan: HeadPlan, arm: str) -> tuple[int | None, ...]:
    return plan.qubits if arm_of(arm).per_qubits else (None,)


def _family(plan: HeadPlan) -> int:
    """Comparisons in one family: all, or those at one number of qubits where the reference has qubits too."""
    others = [arm for arm in plan.arms if arm != plan.reference]
    assert plan.reference is not None
    if arm_of(plan.reference).per_qubits:
        return len(others)
    return sum(len(_qubits_of(plan, arm)) for arm in others)


def _read_arms(text: str) -> tuple[str, ...]:
    return tuple(arm_of(name).name for name in read_names("--arms", ARMS)(text))


SWEEP = StudyKind(
    SweepPlan,
    sweep_trials,
    summarise,
    name_trials,
    about="Measure accuracy against the number of qubits: all arms, one protocol, intervals and tests.",
    example="hybridqies sweep --data reviews.csv --per-class 256 --qubits 2:12:2 --seeds 5 --workers 2",
    settings="An option of every arm (training.epochs=40) or of one (two-module.encoders=16).",
    flags=(
        QUBITS,
        Flag(
            "arms",
            "arms",
            "Arms, separated by commas, such as two-module,dressed,matched-mlp,logistic,svc,mlp-48, or all. "
            "two-module:RECIPE has another circuit.",
            _read_arms,
            show_names(ARMS),
        ),
        Flag(
            "reference",
            "reference",
            "The arm that the others are compared with.",
            show=lambda _: "logistic if it is among the arms, else the first",
        ),
        BUDGET,
    ),
    family=_family,
    report="hybridqies.report.studies.sweep:REPORT",
)


def _cells(planned: Sequence[Trial]) -> list[Cell]:
    from hybridqies.study.cells import Cell

    grouped: dict[tuple[str, int | None], list[Trial]] = {}
    for trial in planned:
        grouped.setdefault((trial.arm, trial.n_qubits), []).append(trial)
    return [
        Cell(arm if count is None else f"{arm}, {count} qubits", tuple(members))
        for (arm, count), members in grouped.items()
    ]


def _summary(cell: Cell, plan: HeadPlan, state: StudyState) -> dict[str, Any]:
    arm = arm_of(cell.trials[0].arm)
    return {
        **_place(cell),
        "what": arm.what,
        "quantum": arm.quantum,
        "twin_of": arm.twin_of,
        "budget": plan.budget,
        **cell.tested(state),
        **cell.trained(state),
    }


def _place(cell: Cell) -> dict[str, Any]:
    return {"arm": cell.trials[0].arm, "n_qubits": cell.trials[0].n_qubits}


def _comparisons(plan: HeadPlan, cells: Sequence[Cell], state: StudyState) -> list[dict[str, Any]]:
    """Every cell against the reference: one family, or one for each number of qubits that it has itself."""
    from hybridqies.study.statistics.comparisons import compare

    tested = [(cell, cell.results(state)) for cell in cells if cell.records(state)]
    found: list[dict[str, Any]] = []
    for family in _families(plan, tested):
        named = {results.name: cell for cell, results in family}
        reference = next(results.name for cell, results in family if cell.trials[0].arm == plan.reference)
        compared = compare([results for _, results in family], reference, family[0][0].metrics[0])
        found += [each.to_mapping() | _place(named[each.arm]) for each in compared]
    return found


def _families(
    plan: HeadPlan, tested: Sequence[tuple[Cell, ArmResults]]
) -> list[list[tuple[Cell, ArmResults]]]:
    numbers = [cell.trials[0].n_qubits for cell, _ in tested if cell.trials[0].arm == plan.reference]
    if numbers == [None]:
        families = [list(tested)]
    else:
        families = [[pair for pair in tested if pair[0].trials[0].n_qubits in (None, n)] for n in numbers]
    return [family for family in families if len(family) > 1]
