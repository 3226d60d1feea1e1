"""How the loss falls with parameters and samples, and in which order quanta are learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hybridqies.errors import InputError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.parity.problem import ParityProblem
from hybridqies.parity.training import OnStep, ParityTraining, QuantumLog, train_parity_net
from hybridqies.records import read_record, write_record

# So few quanta have no order to speak of.
FEWEST_LEARNT = 5


@dataclass(frozen=True, slots=True)
class LearningOrder:
    """When quanta are learnt against how frequent they are, over those that are learnt.

    `spearman` correlates frequency with the negative step, `slope` is that of log step against log
    frequency; both are None for fewer than five quanta.
    """

    n_learnt: int
    spearman: float | None
    slope: float | None


@dataclass(frozen=True, slots=True)
class ParityPlan:
    """Nets of `widths` trained on rows that are all new, then nets of the largest on `samples` rows."""

    problem: ParityProblem
    training: ParityTraining
    widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    samples: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1 or min(self.samples, default=1) < 1:
            raise InputError(
                f"a parity run was given widths {list(self.widths)} and samples {list(self.samples)}",
                expected="at least one width, and whole numbers from 1 on",
            )
        if self.training.samples is not None:
            raise InputError("samples were given for one training", expected="those of the plan alone")
        for samples in self.samples:
            # Refused before anything is trained.
            replace(self.training, samples=samples)

    @property
    def nets(self) -> tuple[tuple[str, int, int | None], ...]:
        """What is varied, the width, and the number of rows (None: all new) of each net, in their order."""
        by_width = [("parameters", width, None) for width in self.widths]
        return (*by_width, *(("samples", max(self.widths), samples) for samples in self.samples))


def order_of_learning(problem: ParityProblem, log: QuantumLog) -> LearningOrder:
    """Whether frequent quanta were learnt first."""
    from scipy import stats

    learnt = [(task, step) for task, step in enumerate(log.learnt_at()) if step is not None]
    if len(learnt) < FEWEST_LEARNT:
        return LearningOrder(len(learnt), None, None)
    frequencies = problem.frequencies[[task for task, _ in learnt]]
    steps = np.array([step for _, step in learnt], dtype=np.float64)
    if np.ptp(steps) == 0:
        return LearningOrder(len(learnt), None, None)
    spearman = float(stats.spearmanr(frequencies, -steps).statistic)
    slope = float(np.polyfit(np.log(frequencies), np.log(steps), 1)[0])
    return LearningOrder(len(learnt), spearman, slope)


def run_parity(
    plan: ParityPlan,
    *,
    path: Path | None = None,
    resume: bool = False,
    on_net: Callable[[str, int], None] | None = None,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Trains every net of the plan; the record of all as JSON values.

    With a `path` the record is written there at the start and after every net. With `resume` nets that are
    in it are not trained again, and the result is the same. `on_net` is called with the name of each net
    that is trained and its number of steps.

    Raises
    ------
    InputError: `path` holds a record already, or with `resume` one of another plan.
    ModelFolderError: with `resume`, the record is missing or damaged.
    """
    rows = _known_nets(plan, path, resume)
    for net in plan.nets[len(rows) :]:
        _write(plan, rows, path)
        rows.append(_run_net(plan, *net, on_net, on_step))
    return _write(plan, rows, path)


def read_parity(path: Path) -> tuple[ParityPlan, dict[str, Any]]:
    """The plan of a record, and the record, which may lack some nets.

    Raises
    ------
    ModelFolderError: it is missing or damaged.
    """
    record = read_record(path, needed={"plan": dict, "nets": list}, what="record of parities")
    return from_mapping(ParityPlan, record["plan"], what="plan of parities"), record


def _known_nets(plan: ParityPlan, path: Path | None, resume: bool) -> list[Mapping[str, Any]]:
    if path is None:
        return []
    if not resume:
        if path.exists():
            raise InputError(
                f"{path} is there already", expected="a new folder", todo="continue it, or choose another"
            )
        return []
    recorded, record = read_parity(path)
    if recorded != plan:
        raise InputError(f"{path} is of another plan", expected="the plan that it was begun with")
    return list(record["nets"])


def _write(plan: ParityPlan, rows: Sequence[Mapping[str, Any]], path: Path | None) -> dict[str, Any]:
    """The record of the nets trained so far, which is written to `path`."""
    alpha = plan.problem.alpha
    record = {
        "plan": to_mapping(plan),
        "frequencies": plan.problem.frequencies.tolist(),
        "predicted": {"parameters": -alpha, "samples": -alpha / (1 + alpha)},
        "nets": list(rows),
    }
    if path is not None:
        write_record(path, record)
    return record


def _run_net(
    plan: ParityPlan,
    varied: str,
    width: int,
    samples: int | None,
    on_net: Callable[[str, int], None] | None,
    on_step: OnStep | None,
) -> Mapping[str, Any]:
    if on_net is not None:
        name = f"width {width}" if samples is None else f"{samples:,} samples"
        on_net(name, plan.training.steps)
    _, log = train_parity_net(plan.problem, width, replace(plan.training, samples=samples), on_step=on_step)
    return {
        "varied": varied,
        "width": width,
        "parameters": log.n_parameters,
        "samples": log.n_samples,
        "loss": log.best,
        "order": to_mapping(order_of_learning(plan.problem, log)),
        "learnt_at": list(log.learnt_at()),
        "steps": log.steps.tolist(),
        "losses": np.round(log.losses, 6).tolist(),
    }
