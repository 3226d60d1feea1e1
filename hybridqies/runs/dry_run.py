"""What training, evaluating or predicting would hand in at a backend, before anything is embedded or sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from hybridqies.backends import Backend, DryRun, ExecutingBackend, QuantumLayer, Rates, dry_run, load_backend
from hybridqies.backends.jobs import Limits
from hybridqies.classifier import HybridClassifier, check_runs_circuit, is_quantum
from hybridqies.errors import CapabilityError
from hybridqies.heads.base import Head
from hybridqies.runs.config import DataOptions, RunConfig
from hybridqies.runs.evaluation import evaluation_part
from hybridqies.runs.execution import classifier_of, load_splits
from hybridqies.text import EmbeddingCache, Encoder
from hybridqies.training import TrainingConfig, prediction_batch


def plan_evaluation(
    folder: Path,
    options: DataOptions | None,
    split_name: str,
    *,
    backend: str | Backend | None = None,
    limits: Limits | None = None,
    rates: Rates | None = None,
) -> list[DryRun]:
    """What `evaluate_run` would hand in, circuit by circuit of the head, if nothing of it is journalled yet.

    Raises
    ------
    CapabilityError: the head's circuits run exactly in this process, and nothing is handed in; or they
        would be refused.
    InputError: the head has no circuit, or there are `limits` where nothing is paid.
    """
    _, part = evaluation_part(folder, options, split_name)
    return plan_prediction(folder, len(part), backend=backend, limits=limits, rates=rates)


def plan_prediction(
    folder: Path,
    n_texts: int,
    *,
    backend: str | Backend | None = None,
    limits: Limits | None = None,
    rates: Rates | None = None,
) -> list[DryRun]:
    """What `predict_run` would hand in for so many texts; as `plan_evaluation`."""
    model = HybridClassifier.load(folder, backend=backend)
    check_runs_circuit((model.head,), "a dry run was asked for")
    model.cap(limits)
    assert model.head_ is not None
    counts = _batches(n_texts, prediction_batch(model.head_, n_texts, model.training.batch_size))
    return [
        replace(dry_run(_backend(layer), layer.circuit, counts, rates), head=model.head_.name)
        for layer in _layers(model.head_, model.backend)
    ]


def plan_training(config: RunConfig, rates: Rates | None = None) -> list[DryRun]:
    """What training all heads of a run to their last epoch would hand in, with what is measured on the way.

    Gradients are counted as wanted in features and weights; early stopping may end sooner.

    Raises
    ------
    CapabilityError: the circuits run exactly in this process, and nothing is handed in; or one row of a
        batch has more circuits than a job may.
    InputError: no head has a circuit.
    """
    heads = (config.head, *config.compare)
    check_runs_circuit(heads, "a dry run was asked for")
    data = load_splits(config.data, config.training.seed)
    sizes = {name: len(part) for name, part in data.splits().items()}
    encoder, cache = Encoder.load(config.encoder, config.device), EmbeddingCache()
    backend = load_backend(config.backend)
    plans: list[DryRun] = []
    for name in filter(is_quantum, heads):
        model = classifier_of(config, name, {}, encoder, cache, backend)
        head = model.untrained(len(data.classes))
        plans += [
            replace(
                dry_run(_backend(layer), layer.circuit, _steps(layer, head, config.training, sizes), rates),
                head=name,
            )
            for layer in _layers(head, backend)
        ]
    return plans


def check_limits(plans: list[DryRun], limits: Limits) -> None:
    """Refuses plans that would pass a cap when nothing of them has been paid for yet.

    Raises
    ------
    CapabilityError: naming what would be paid for, and the cap.
    """
    limits.check(shots=sum(plan.total_shots for plan in plans), jobs=sum(plan.jobs for plan in plans))


def _steps(layer: QuantumLayer, head: Head, config: TrainingConfig, sizes: dict[str, int]) -> Counter[int]:
    """How often a submission of how many rows goes out of a training on splits of these sizes."""
    batch, epochs, counts = config.batch_size, config.n_epochs(sizes["train"]), Counter[int]()
    for texts, times in _batches(sizes["train"], batch).items():
        counts[_backend(layer).n_circuits(layer.circuit, texts)] += epochs * times
    for texts, times in _batches(sizes["validation"], batch).items():
        counts[texts] += epochs * times
    for name in ("validation", "test"):
        counts += _batches(sizes[name], prediction_batch(head, sizes[name], batch))
    return counts


def _layers(head: Head, backend: Backend) -> list[QuantumLayer]:
    """The layers whose circuits are handed in, rather than computed exactly where the head is."""
    layers = [each for each in head.modules() if isinstance(each, QuantumLayer)]
    found = [each for each in layers if not _is_immediate(each.backend)]
    if not found:
        raise CapabilityError(
            f"backend {backend.label!r} computes exactly in this process: there is nothing to plan",
            expected="one with shots, or one that circuits are handed in to (see: hybridqies backends)",
        )
    return found


def _is_immediate(backend: Backend) -> bool:
    return backend.capabilities.native_gradients and backend.is_exact


def _backend(layer: QuantumLayer) -> ExecutingBackend:
    if not isinstance(layer.backend, ExecutingBackend):
        raise CapabilityError(f"backend {layer.backend.label!r} cannot tell what it would hand in")
    return layer.backend


def _batches(count: int, size: int) -> Counter[int]:
    """How often a batch of how many texts goes out of `count`."""
    whole, rest = divmod(count, size)
    return Counter({size: whole, **({rest: 1} if rest else {})})
