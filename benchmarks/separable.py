"""Linearly separable rows of 2 to 20 columns: our arms beside the published means of the same task.

    python benchmarks/separable.py                                    # the table in docs/results.md
    python benchmarks/separable.py --quick                            # a few dimensions, seeds and candidates
    python benchmarks/separable.py --rows 2400 --dimensions 20        # ten times the rows to learn from

Task and means are those of Bowles, Ahmed, Schuld, "Better than classical? The subtle art of benchmarking
quantum machine learning models", arXiv:2403.07059: MLP .996, SVC .991, data re-uploading .855. Every seed
draws rows of its own, and every arm goes through the protocol of studies with the same search budget.
What was measured is kept below --out: a second call only adds what is missing.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridqies.files import write_json
from hybridqies.runs.config import DataOptions
from hybridqies.study.arms import Arm, arm_of
from hybridqies.study.context import TrialContext
from hybridqies.study.kinds.sweep import SweepPlan, add_circuits, plan_trial, repeat_on_seeds
from hybridqies.study.protocol import run_trial
from hybridqies.study.search import Choices, Interval, Space
from hybridqies.study.statistics.intervals import Spread, spread
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.tasks.feature_classification import FeatureData

# A test set larger than the published 60 rows: the same mean, known more closely.
TEST_ROWS = 1000
COLUMNS_PER_QUBIT = 3
NARROW, SMALL = 0.4, 0.5

_SPACE: Space = {
    "training.learning_rate": Interval(0.0005, 0.05, log=True),
    "training.weight_decay": Interval(1e-4, 1.0, log=True),
    "layers": Choices((1, 5, 10)),
}


def _reupload(name: str, what: str, **options: Any) -> Arm:
    return Arm(name, "reupload", what, options, _SPACE)


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        *map(arm_of, ("mlp-96", "svc", "logistic")),
        _reupload("reupload", "data re-uploading, every qubit read"),
        _reupload("reupload-one", "one qubit read", readout_qubits=1),
        _reupload("reupload-product", "no entanglers", entangled=False),
        _reupload("reupload-narrow", f"features within ±{NARROW} instead of ±π/2", reach=NARROW),
        _reupload("reupload-small-start", f"angles start within ±{SMALL} instead of ±π", spread=SMALL),
        Arm(
            "dressed",
            "dressed",
            "a linear layer before the same circuit",
            {"circuit": "data-reuploading"},
            _SPACE,
        ),
    )
}

# Means over d = 2, 3, ..., 20. Their perceptron's widths were searched up to 100, and their angles start
# between 0 and 1.
PUBLISHED = {"mlp-96": 0.996, "svc": 0.991, "reupload-small-start": 0.855}


def separable(dimension: int, rows: int, seed: int) -> tuple[torch.Tensor, list[int]]:
    """`rows` points (rows, dimension) of a cube and the side of a plane on which each of them lies.

    Uniform in [-1, 1]^d, without those for which |x_1 + ... + x_d| is at most 0.02 d; the label is 1 where
    the sum is positive and 0 elsewhere. Both are a function of the arguments alone.
    """
    draw = np.random.default_rng([dimension, seed])
    kept: list[np.ndarray] = []
    while sum(map(len, kept)) < rows:
        points = draw.uniform(-1, 1, (rows, dimension)).astype(np.float32)
        kept.append(points[np.abs(points.sum(axis=1, dtype=np.float64)) > 0.02 * dimension])
    points = np.concatenate(kept)[:rows]
    return torch.from_numpy(points), (points.sum(axis=1, dtype=np.float64) > 0).astype(int).tolist()


@dataclass(frozen=True, slots=True)
class Job:
    """One arm on the rows of one dimension and seed."""

    arm: str
    dimension: int
    seed: int
    rows: int
    budget: int
    epochs: int

    def options(self) -> DataOptions:
        """How its data is drawn."""
        return DataOptions(f"separable-{self.dimension}", per_class=self.rows // 2, validation_fraction=0.2)

    def context(self) -> TrialContext:
        """Its data: `rows` to learn from, as many of each class, a fifth of them for validation."""
        options = self.options()
        features, labels = separable(self.dimension, self.rows + TEST_ROWS, self.seed)
        return TrialContext(FeatureData(options.source, features, labels, options))

    def trial(self, context: TrialContext) -> Trial:
        """The trial of a study that this is."""
        plan = SweepPlan(
            arms=("logistic",),
            qubits=(2,),
            seeds=(self.seed,),
            budget=self.budget,
            encoder="none",
            data=self.options(),
            training={"epochs": self.epochs},
        )
        arm = ARMS[self.arm]
        n_qubits = math.ceil(self.dimension / COLUMNS_PER_QUBIT) if arm.quantum else None
        [trial] = repeat_on_seeds(plan, [add_circuits(plan_trial(plan, arm, n_qubits, context), context)])
        return trial


def measured(job: Job, out: Path) -> TrialRecord:
    """The record of a job, read from below `out` or run and left there."""
    torch.set_num_threads(1)
    context = job.context()
    trial = job.trial(context)
    path = out / f"{trial.key}.json"
    if not path.is_file():
        write_json(path, run_trial(trial, context).to_mapping())
    return TrialRecord.from_mapping(json.loads(path.read_text()))


@dataclass(frozen=True, slots=True)
class Row:
    """One arm: its test accuracy in the mean over dimensions, spread over seeds, and in every dimension."""

    arm: str
    what: str
    parameters: tuple[int, int]
    accuracy: Spread
    published: float | None
    by_dimension: dict[int, float]
    converged: float
    seconds: float


def row_of(arm: str, records: dict[Job, TrialRecord]) -> Row:
    """The records of one arm as a row."""
    by_seed: dict[int, list[float]] = {}
    by_dimension: dict[int, list[float]] = {}
    for job, record in records.items():
        by_seed.setdefault(job.seed, []).append(record.test["accuracy"])
        by_dimension.setdefault(job.dimension, []).append(record.test["accuracy"])
    counts = [record.n_parameters for record in records.values()]
    return Row(
        arm,
        ARMS[arm].what,
        (min(counts), max(counts)),
        spread([statistics.fmean(values) for values in by_seed.values()]),
        PUBLISHED.get(arm),
        {dimension: statistics.fmean(values) for dimension, values in sorted(by_dimension.items())},
        statistics.fmean(record.converged for record in records.values()),
        sum(record.seconds for record in records.values()),
    )


def main() -> None:
    """Runs what is missing and prints the table."""
    given = _arguments()
    jobs = [
        Job(arm, dimension, seed, given.rows, given.budget, given.epochs)
        for seed in range(given.seeds)
        for dimension in given.dimensions
        for arm in given.arms
    ]
    records = dict(_run(jobs, given.out, given.workers))
    rows = [row_of(arm, {job: records[job] for job in jobs if job.arm == arm}) for arm in given.arms]
    print(json.dumps([asdict(row) for row in rows], indent=2) if given.json else table(rows))


def _run(jobs: Sequence[Job], out: Path, workers: int) -> Iterator[tuple[Job, TrialRecord]]:
    from rich.console import Console
    from rich.progress import track

    with ProcessPoolExecutor(workers) as pool:
        running = {pool.submit(measured, job, out): job for job in jobs}
        shown = track(
            as_completed(running), "trials", total=len(jobs), console=Console(file=sys.stderr, soft_wrap=True)
        )
        for done in shown:
            yield running[done], done.result()


def table(rows: Sequence[Row]) -> str:
    """Markdown: the mean over dimensions with its 95 % interval over seeds, and single dimensions."""
    dimensions = list(rows[0].by_dimension)
    shown = sorted({dimensions[0], dimensions[len(dimensions) // 2], dimensions[-1]})
    head = ["arm", "what", "parameters", "mean over d", "published", *(f"d = {d}" for d in shown)]
    lines = [[*head, "converged", "seconds"], ["---"] * (len(head) + 2)]
    for row in rows:
        low, high = row.accuracy.low, row.accuracy.high
        interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
        cells = [row.arm, row.what, "{:,} to {:,}".format(*row.parameters)]
        cells += [
            f"{row.accuracy.mean:.3f}{interval}",
            "" if row.published is None else f"{row.published:.3f}",
        ]
        cells += [f"{row.by_dimension[dimension]:.3f}" for dimension in shown]
        lines.append([*cells, f"{100 * row.converged:.0f} %", f"{row.seconds:.0f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dimensions", type=int, nargs="+", default=list(range(2, 21, 2)))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=8, help="configurations that every arm tries")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rows", type=int, default=240, help="rows for training and validation")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/separable"))
    parser.add_argument("--quick", action="store_true", help="d = 2 and 10, two seeds, two configurations")
    parser.add_argument("--json", action="store_true", help="every row with all dimensions, as JSON")
    given = parser.parse_args()
    if given.quick:
        given.dimensions, given.seeds, given.budget, given.epochs = [2, 10], 2, 2, 20
    return given


if __name__ == "__main__":
    main()
