"""Small studies on labels shuffled at random: how many show a difference where there is none.

    python benchmarks/shuffled_labels.py --studies 200

Each study draws rows of numbers and labels that have nothing to do with them, runs two arms on eight seeds
through the whole protocol, and compares them. Exits 1 unless 2 to 8 % of the studies say "better" or "worse".
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from hybridqies.runs.config import DataOptions
from hybridqies.study.context import TrialContext
from hybridqies.study.kinds.sweep import SweepPlan, summarise, sweep_trials
from hybridqies.study.protocol import run_trial
from hybridqies.study.trials.journal import StudyState
from hybridqies.study.trials.trial import Trial
from hybridqies.tasks.feature_classification import FeatureData

# A draw is a few per cent of the rows, as in the few-shot protocol: seeds that share much of what they
# train on are not independent, and a test that takes them for so flags too much.
ROWS, PER_CLASS, COLUMNS, SEEDS = 2000, 40, 8, 8


class Ran(NamedTuple):
    """A study that was run: its plan, its trials and their records."""

    plan: SweepPlan
    planned: Sequence[Trial]
    state: StudyState


def shuffled(
    number: int,
    arms: tuple[str, str] = ("logistic", "svc"),
    budget: int = 1,
    *,
    rows: int = ROWS,
    per_class: int = PER_CLASS,
    seeds: int = SEEDS,
) -> Ran:
    """Study `number`: its own rows and labels, the whole protocol for either arm on every seed."""
    torch.set_num_threads(1)
    draw = np.random.default_rng(number)
    features = torch.from_numpy(draw.standard_normal((rows, COLUMNS)).astype(np.float32))
    labels = draw.permutation(np.arange(rows) % 2).tolist()
    options = DataOptions("shuffled", per_class=per_class, validation_fraction=0.25)
    plan = SweepPlan(
        arms=arms,
        qubits=(2,),
        # Seeds of its own: draws of rows are a function of the seed alone.
        seeds=tuple(range(seeds * number, seeds * (number + 1))),
        budget=budget,
        reference=arms[0],
        data=options,
    )
    context = TrialContext(FeatureData("shuffled", features, labels, options))
    planned = sweep_trials(plan, context)
    about = {
        "data": "shuffled",
        "classes": [0, 1],
        "test_texts": {str(seed): context.test_places(seed) for seed in plan.seeds},
    }
    records = {trial.key: run_trial(trial, context) for trial in planned}
    return Ran(plan, planned, StudyState(about, records=records))


def verdict(ran: Ran) -> str:
    """What the study says of its second arm."""
    found: str = summarise(*ran)["comparisons"][0]["verdict"]
    return found


def verdict_of(number: int, arms: tuple[str, str], budget: int) -> str:
    """The verdict of study `number`, for a process of its own."""
    return verdict(shuffled(number, arms, budget))


def main() -> None:
    """Runs the studies and prints how many flagged a difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--arms", nargs=2, default=("logistic", "svc"), metavar="ARM")
    parser.add_argument("--budget", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    study = partial(verdict_of, arms=tuple(given.arms), budget=given.budget)
    with ProcessPoolExecutor(given.workers) as pool:
        counts = Counter(pool.map(study, range(given.studies), chunksize=5))
    flagged = given.studies - counts["no difference was shown"]
    share = 100 * flagged / given.studies
    print(f"{flagged} of {given.studies} studies flagged a difference ({share:.1f} %): {dict(counts)}")
    sys.exit(not 2 <= share <= 8)


if __name__ == "__main__":
    main()
