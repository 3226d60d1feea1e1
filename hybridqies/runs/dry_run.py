"""What training, evaluating or predicting would run on a backend, before anything is embedded or sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from hybridqies.backends import Backend, DryRun, ExecutingBackend, QuantumLayer, Rates, dry_run
from hybridqies.backends.jobs import Limits
from hybridqies.errors import CapabilityError
from hybridqies.heads import Head, head_class
from hybridqies.runs.assembly import Arm, PreparedRun
from hybridqies.runs.config import DataOptions
from hybridqies.runs.evaluation import evaluation_part
from hybridqies.runs.paying import bound_payment, check_runs_circuit
from hybridqies.saved_model import load_model
from hybridqies.text import Entry
from hybridqies.training import prediction_batch


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

    If the native simulator runs all of them exactly, it is what that would compute.

    Raises
    ------
    CapabilityError: the head's circuits run exactly in this process, on a simulator that counts no work;
        or they would be refused.
    InputError: the head has no circuit, or there are `limits` where nothing is paid.
    """
    _, part = evaluation_part(folder, options, split_name)
    return plan_prediction(folder, part.texts, backend=backend, limits=limits, rates=rates)


def plan_prediction(
    folder: Path,
    texts: Sequence[Entry],
    *,
    backend: str | Backend | None = None,
    limits: Limits | None = None,
    rates: Rates | None = None,
) -> list[DryRun]:
    """What `predict_run` would hand in for these texts; as `plan_evaluation`."""
    model = load_model(folder, backend=backend, rates=rates)
    model.check_reads(texts)
    check_runs_circuit((model.spec.head,), "a dry run was asked for")
    bound_payment(model.backend, (model.spec.head,), limits)
    count = len(texts)
    counts = _batches(count, prediction_batch(model.head, count, model.training.batch_size))
    return [
        replace(_plan(layer, counts, rates), head=model.spec.head)
        for layer in _layers(model.head, model.backend)
    ]


def plan_training(prepared: PreparedRun, rates: Rates | None = None) -> list[DryRun]:
    """What training all arms of a run to their last epoch would hand in, with what is measured on the way.

    Gradients are counted as wanted in features and weights; early stopping may end sooner.

    Raises
    ------
    CapabilityError: the circuits run exactly in this process, on a simulator that counts no work; or one
        row of a batch has more circuits than a job may.
    InputError: no head has a circuit.
    """
    check_runs_circuit([arm.name for arm in prepared.arms], "a dry run was asked for")
    return [
        replace(_plan(layer, _steps(layer, arm, prepared), rates), head=arm.name)
        for arm in prepared.arms
        if head_class(arm.name).runs_circuit
        for layer in _layers(arm.model, prepared.backend)
    ]


def check_limits(plans: list[DryRun], limits: Limits) -> None:
    """Refuses plans that would pass a cap when nothing of them has been paid for yet.

    Raises
    ------
    CapabilityError: naming what would be paid for, and the cap.
    """
    limits.check(shots=sum(plan.total_shots for plan in plans), jobs=sum(plan.jobs for plan in plans))


def _steps(layer: QuantumLayer, arm: Arm, prepared: PreparedRun) -> Counter[int]:
    """How often a submission of how many rows goes out of a training on splits of these sizes."""
    sizes, batch, epochs = prepared.sizes, prepared.config.training.batch_size, prepared.epochs
    counts = Counter[int]()
    for rows, times in _batches(sizes["train"], batch).items():
        counts[_backend(layer).n_circuits(layer.circuit, rows)] += epochs * times
    for rows, times in _batches(sizes["validation"], batch).items():
        counts[rows] += epochs * times
    for name in ("validation", "test"):
        counts += _batches(sizes[name], prediction_batch(arm.model, sizes[name], batch))
    return counts


def _plan(layer: QuantumLayer, counts: Counter[int], rates: Rates | None) -> DryRun:
    """The plan of a layer that is called with batches of these many rows so many times."""
    copies = layer.copies or 1
    rows = {copies * size: times for size, times in counts.items()}
    return dry_run(_backend(layer), layer.circuit, rows, rates)


def _layers(model: nn.Module, backend: Backend) -> list[QuantumLayer]:
    """The layers whose circuits are handed in; all of them where all are computed in this process."""
    layers = [each for each in model.modules() if isinstance(each, QuantumLayer)]
    found = [each for each in layers if not _is_immediate(each.backend)]
    solved = any(isinstance(each, Head) and each.is_solved for each in model.modules())
    if not (found or solved) and all(_counts_work(each) for each in layers):
        return layers
    if not found:
        raise CapabilityError(
            f"backend {backend.label!r} computes exactly in this process: there is nothing to plan",
            expected="one with shots, or one that circuits are handed in to (see: hybridqies backends)",
        )
    return found


def _counts_work(layer: QuantumLayer) -> bool:
    backend = layer.backend
    return isinstance(backend, ExecutingBackend) and backend.exact_cost(layer.circuit) is not None


def _is_immediate(backend: Backend) -> bool:
    return backend.capabilities.native_gradients and backend.is_exact


def _backend(layer: QuantumLayer) -> ExecutingBackend:
    if not isinstance(layer.backend, ExecutingBackend):
        raise CapabilityError(f"backend {layer.backend.label!r} cannot tell what it would hand in")
    return layer.backend


def _batches(count: int, size: int) -> Counter[int]:
    """How often a batch of how many rows goes out of `count`."""
    whole, rest = divmod(count, size)
    return Counter({size: whole, **({rest: 1} if rest else {})})
