"""What training or evaluating would hand in at a backend, before anything is embedded or sent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hybridqies.backends import Backend, DryRun, ExecutingBackend, QuantumLayer, Rates, dry_run
from hybridqies.backends.jobs import Limits
from hybridqies.classifier import HybridClassifier
from hybridqies.errors import CapabilityError
from hybridqies.heads.base import Head
from hybridqies.study.config import DataOptions, RunConfig
from hybridqies.study.evaluation import evaluation_part
from hybridqies.study.run import classifier_of, load_splits
from hybridqies.text import EmbeddingCache, Encoder


def plan_evaluation(
    folder: Path,
    options: DataOptions | None,
    split_name: str,
    *,
    backend: str | Backend | None = None,
    rates: Rates | None = None,
) -> list[DryRun]:
    """What `evaluate_run` would hand in, circuit by circuit of the head.

    Raises
    ------
    CapabilityError: the head's circuits run in this process, and nothing is handed in.
    """
    model = HybridClassifier.load(folder, backend=backend)
    _, part = evaluation_part(folder, options, split_name)
    assert model.head_ is not None
    counts = _batches(len(part), model.batch_of(len(part)))
    return [
        dry_run(_backend(layer), layer.circuit, counts, rates)
        for layer in _layers(model.head_, model.backend)
    ]


def plan_training(config: RunConfig, rates: Rates | None = None) -> list[DryRun]:
    """What training the run's own head to its last epoch would hand in, with all that is measured on the way.

    Gradients are counted as wanted in features and weights; early stopping may end sooner.

    Raises
    ------
    CapabilityError: the head's circuits run in this process, and nothing is handed in.
    """
    data = load_splits(config.data, config.training.seed)
    encoder = Encoder.load(config.encoder, config.device)
    model = classifier_of(config, config.head, {}, encoder, EmbeddingCache())
    head = model.untrained(len(data.classes))
    sizes = {name: len(part) for name, part in data.splits().items()}
    batch, epochs = config.training.batch_size, config.training.epochs
    plans = []
    for layer in _layers(head, model.backend):
        backend, counts = _backend(layer), Counter[int]()
        for rows, times in _batches(sizes["train"], batch).items():
            counts[backend.n_circuits(layer.circuit, rows)] += epochs * times
        for rows, times in _batches(sizes["validation"], batch).items():
            counts[rows] += epochs * times
        for name in ("validation", "test"):
            counts += _batches(sizes[name], model.batch_of(sizes[name]))
        plans.append(dry_run(backend, layer.circuit, counts, rates))
    return plans


def check_limits(plans: list[DryRun], limits: Limits) -> None:
    """Refuses plans that would pass a cap when nothing of them has been paid for yet.

    Raises
    ------
    CapabilityError: naming what would be paid for, and the cap.
    """
    limits.check(shots=sum(plan.total_shots for plan in plans), jobs=sum(plan.jobs for plan in plans))


def _layers(head: Head, backend: Backend) -> list[QuantumLayer]:
    layers = [each for each in head.modules() if isinstance(each, QuantumLayer)]
    found = [each for each in layers if not each.backend.capabilities.native_gradients]
    if not found:
        raise CapabilityError(
            f"backend {backend.label!r} computes in this process: there is nothing to plan or to cap",
            expected="a backend that circuits are handed in to (see: hybridqies backends)",
        )
    return found


def _backend(layer: QuantumLayer) -> ExecutingBackend:
    if not isinstance(layer.backend, ExecutingBackend):
        raise CapabilityError(f"backend {layer.backend.label!r} cannot tell what it would hand in")
    return layer.backend


def _batches(count: int, size: int) -> Counter[int]:
    """How often a batch of how many texts goes out of `count`."""
    whole, rest = divmod(count, size)
    return Counter({size: whole, **({rest: 1} if rest else {})})
