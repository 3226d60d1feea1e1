"""Sweep: accuracy against qubits for every arm, from the records of its trials to a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridqies.study.arms import arm_of
from hybridqies.study.cells import Cell
from hybridqies.study.conduct import Study, overview
from hybridqies.study.context import TrialContext
from hybridqies.study.plan import StudyPlan, laid_out, on_every_seed, planned_trial
from hybridqies.study.statistics.comparisons import ArmResults, compare
from hybridqies.study.trials.journal import StudyState
from hybridqies.study.trials.trial import Trial


def sweep_trials(plan: StudyPlan, context: TrialContext) -> tuple[Trial, ...]:
    """The trials of a sweep, seed by seed; arms whose numbers don't depend on qubits run once a seed.

    Every head is built once, so that what cannot be built is refused before anything is trained.

    Raises
    ------
    InputError: an option that does not exist or does not fit, by the first arm that has it.
    """
    designs = [
        laid_out(planned_trial(plan, arm, count, context), context)
        for arm in map(arm_of, plan.arms)
        for count in (plan.qubits if arm.per_qubits else (None,))
    ]
    return on_every_seed(plan, designs)


def summarise(plan: StudyPlan, planned: Sequence[Trial], state: StudyState) -> dict[str, Any]:
    """The result of a sweep from its records alone: every arm at every number of qubits, over seeds.

    Raises
    ------
    InputError: records of arms that were searched with different budgets.
    """
    cells = _cells(planned)
    return overview(plan, planned, state) | {
        "cells": [_summary(cell, plan, state) for cell in cells],
        "comparisons": _comparisons(plan, cells, state),
    }


SWEEP = Study(StudyPlan, sweep_trials, summarise)


def _cells(planned: Sequence[Trial]) -> list[Cell]:
    grouped: dict[tuple[str, int | None], list[Trial]] = {}
    for trial in planned:
        grouped.setdefault((trial.arm, trial.n_qubits), []).append(trial)
    return [
        Cell(arm if count is None else f"{arm}, {count} qubits", tuple(members))
        for (arm, count), members in grouped.items()
    ]


def _summary(cell: Cell, plan: StudyPlan, state: StudyState) -> dict[str, Any]:
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


def _comparisons(plan: StudyPlan, cells: Sequence[Cell], state: StudyState) -> list[dict[str, Any]]:
    """Every cell against the reference: one family, or one for each number of qubits that it has itself."""
    tested = [(cell, cell.results(state)) for cell in cells if cell.records(state)]
    found: list[dict[str, Any]] = []
    for family in _families(plan, tested):
        named = {results.name: cell for cell, results in family}
        reference = next(results.name for cell, results in family if cell.trials[0].arm == plan.reference)
        compared = compare([results for _, results in family], reference)
        found += [each.to_mapping() | _place(named[each.arm]) for each in compared]
    return found


def _families(
    plan: StudyPlan, tested: Sequence[tuple[Cell, ArmResults]]
) -> list[list[tuple[Cell, ArmResults]]]:
    numbers = [cell.trials[0].n_qubits for cell, _ in tested if cell.trials[0].arm == plan.reference]
    if numbers == [None]:
        families = [list(tested)]
    else:
        families = [[pair for pair in tested if pair[0].trials[0].n_qubits in (None, n)] for n in numbers]
    return [family for family in families if len(family) > 1]
