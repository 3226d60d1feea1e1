"""A network whose quanta are known, to see whether they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from hybridqies.options import to_mapping, within
from hybridqies.parity import ParityNet, ParityProblem, ParityRows
from hybridqies.quanta.clusters import Floats, cluster_samples, shuffle_similarity
from hybridqies.quanta.similarity import Similarity, gradient_similarity
from hybridqies.roles import Role
from hybridqies.training import CrossEntropy, Rates, Schedule, SelectOn, TrainingConfig, fit

_TEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class KnownQuanta:
    """Parities that are all as frequent, and how a network of one hidden layer learns them.

    Each task adds a row to the hidden layer, drawn with the standard deviation `task_spread`, which learns
    with `task_rate`. Rows that start at 0 are the same for all tasks, so that only training tells them apart.
    """

    problem: ParityProblem = field(default_factory=lambda: ParityProblem(6, 12, 2, 0.0))
    width: int = 128
    steps: int = 1500
    batch_size: int = 250
    learning_rate: float = 0.01
    task_rate: float = 0.1
    task_spread: float = 0.0
    n_samples: int = 300

    def __post_init__(self) -> None:
        bounds = dict.fromkeys(("width", "steps", "batch_size"), (1, 1e9))
        within(self, "option of known quanta", **bounds, n_samples=(self.problem.n_tasks + 1, 1e5))
        within(self, "option of known quanta", learning_rate=(1e-12, 100), task_rate=(1e-12, 100))
        within(self, "option of known quanta", task_spread=(0, 1e6))


class _TaskNet(ParityNet):
    """A parity net whose task rows have a start and a learning rate of their own."""

    roles = {"tasks": Role.ENCODING}  # noqa: RUF012

    def __init__(self, known: KnownQuanta, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        super().__init__(known.problem, known.width, generator)
        torch.nn.init.normal_(self.tasks.weight, 0.0, known.task_spread, generator=generator)


def check_discovery(known: KnownQuanta, *, seed: int = 0) -> dict[str, Any]:
    """How well clusters of gradients agree with known quanta, as JSON values.

    Agreement is the adjusted Rand index: 1 is the same clusters, 0 is chance. It is given for both
    similarities, and for two controls by the absolute cosine: the untrained network, and similarities in
    random places.
    """
    from sklearn.metrics import adjusted_rand_score

    net = _TaskNet(known, seed)
    rows = ParityRows(known.problem, known.n_samples, _TEST_SEED + seed, balanced=True)
    truth = rows[slice(None)].inputs["task"].numpy()
    n_clusters = known.problem.n_tasks

    def agree(similarity: Floats) -> float:
        return float(adjusted_rand_score(truth, cluster_samples(similarity, n_clusters, seed=seed)))

    untrained = agree(_compare(net, rows, Similarity.ABSOLUTE))
    _train(net, known, seed)
    absolute = _compare(net, rows, Similarity.ABSOLUTE)
    return {
        "known": to_mapping(known),
        "seed": seed,
        "loss": _loss(net, rows),
        "absolute": agree(absolute),
        "angular": agree(_compare(net, rows, Similarity.ANGULAR)),
        "untrained": untrained,
        "shuffled": agree(shuffle_similarity(absolute, seed)),
    }


def _train(net: _TaskNet, known: KnownQuanta, seed: int) -> None:
    rows = ParityRows(known.problem, known.steps * known.batch_size, seed)
    config = TrainingConfig(
        epochs=1,
        batch_size=known.batch_size,
        learning_rate=known.learning_rate,
        rates=Rates(encoding=known.task_rate, readout=None, encoder=None),
        weight_decay=0.0,
        schedule=Schedule.CONSTANT,
        select_on=SelectOn.LAST,
        seed=seed,
    )
    fit(net, rows, None, CrossEntropy(), config)


def _compare(net: _TaskNet, rows: ParityRows, similarity: Similarity) -> Floats:
    """Without the task rows, whose gradients would tell the task by their places alone."""
    # In double precision: gradients of samples that are known well are small.
    precise = net.double()
    batch = rows[slice(None)]
    bits = batch.inputs["bits"].double()

    def loss_of(number: int) -> torch.Tensor:
        one = slice(number, number + 1)
        logits = precise({"task": batch.inputs["task"][one], "bits": bits[one]})
        return torch.nn.functional.cross_entropy(logits, batch.labels[one])

    found = gradient_similarity(precise, len(rows), loss_of, similarity=similarity, leave_out=["tasks"])
    net.float()
    return found


@torch.no_grad()
def _loss(net: _TaskNet, rows: ParityRows) -> float:
    return float(CrossEntropy().loss(net, rows[slice(None)]))
