"""What it is worth that a training step on Qiskit Aer is one submission.

    python benchmarks/submission_speed.py

The second module of the paper (long-range-reupload, 6 qubits), a batch of 16, gradients of features and
weights by the parameter-shift rule. One run of all samples and displaced points is held against a run a
sample, and a run a circuit; of those a part is timed and scaled, and the table says so. All three give
the same values, which is checked first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from qiskit_aer import AerSimulator
from torch import Tensor

from hybridqies.backends import load_backend
from hybridqies.backends.executor import ExecutingBackend
from hybridqies.backends.gradient_rules import ShiftRule
from hybridqies.circuit import Circuit, load_circuit

RECIPE, QUBITS, BATCH, TIMES = "long-range-reupload", 6, 16, 3
PART_SAMPLES, PART_CIRCUITS = 4, 100


def main() -> None:
    """Counts, times and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="aer", help="any executing backend on Aer (default: aer)")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    given = parser.parse_args()
    record = measure(given.backend)
    print(json.dumps(record, indent=2) if given.json else table(record))


def measure(text: str) -> dict[str, Any]:
    """Submissions, circuits and seconds of one training step, three ways."""
    backend, circuit = load_backend(text), load_circuit(RECIPE, QUBITS)
    if not isinstance(backend, ExecutingBackend):
        raise SystemExit(f"{text} submits nothing; expected a backend such as aer")
    features, weights = inputs(circuit)
    with counted() as runs:
        step(backend, circuit, features, weights)
    if not runs:
        raise SystemExit(f"{text} runs nothing on Aer; expected a backend such as aer")
    (submitted,) = runs
    expected = backend.n_circuits(circuit, BATCH)
    rows = every_row(backend, circuit, features, weights)
    check(backend, circuit, features, weights, rows)
    one = statistics.median(seconds(lambda: step(backend, circuit, features, weights)) for _ in range(TIMES))
    sample = seconds(
        lambda: [step(backend, circuit, features[at : at + 1], weights) for at in range(PART_SAMPLES)]
    )
    single = seconds(lambda: [run(backend, circuit, row[None]) for row in rows[:PART_CIRCUITS]])
    return {
        "backend": backend.spec,
        "circuit": RECIPE,
        "qubits": QUBITS,
        "batch": BATCH,
        "submissions": len(runs),
        "circuits": submitted,
        "circuits_by_formula": expected,
        "threads": torch.get_num_threads(),
        "one_submission_seconds": one,
        "sample_by_sample_seconds": sample * BATCH / PART_SAMPLES,
        "timed_samples": PART_SAMPLES,
        "circuit_by_circuit_seconds": single * expected / PART_CIRCUITS,
        "timed_circuits": PART_CIRCUITS,
    }


def inputs(circuit: Circuit) -> tuple[Tensor, Tensor]:
    """Features and weights, the same at every call."""
    random = torch.Generator().manual_seed(0)
    shapes = ((BATCH, circuit.n_features), (circuit.n_weights,))
    features, weights = (6 * torch.rand(shape, generator=random, dtype=torch.float64) - 3 for shape in shapes)
    return features, weights


@contextmanager
def counted() -> Iterator[list[int]]:
    """Collects how many circuits every run of Aer ran."""
    seen: list[int] = []
    run_of = AerSimulator.run

    def watched(self: AerSimulator, *given: Any, **options: Any) -> Any:
        job = run_of(self, *given, **options)
        seen.append(len(job.result().results))
        return job

    with mock.patch.object(AerSimulator, "run", watched):
        yield seen


def step(backend: ExecutingBackend, circuit: Circuit, features: Tensor, weights: Tensor) -> list[Tensor]:
    """Values, and their gradient in features and weights."""
    given = [each.detach().clone().requires_grad_() for each in (features, weights)]
    values = backend.expectations(circuit, *given)
    return [values.detach(), *torch.autograd.grad(values.sum(), given)]


def every_row(backend: ExecutingBackend, circuit: Circuit, features: Tensor, weights: Tensor) -> Tensor:
    """The angles of every circuit of a step: of each sample, then of its displaced points."""
    free = backend.free(circuit)
    angles = free.values(features, weights)
    rule = ShiftRule(free.frequencies, free.slots_of(features=True, weights=True))
    moved = angles[:, None] + rule.displace(angles).displacements
    return torch.cat([angles[:, None], moved], dim=1).flatten(0, 1)


def run(backend: ExecutingBackend, circuit: Circuit, rows: Tensor) -> Tensor:
    """The values of some circuits of a step, in one submission."""
    free = backend.free(circuit)
    return backend.expectations(free.circuit, rows.new_zeros(len(rows), 0), rows)


def check(
    backend: ExecutingBackend, circuit: Circuit, features: Tensor, weights: Tensor, rows: Tensor
) -> None:
    """All three ways have the same values where nothing is sampled, and sum to the same gradient."""
    if not backend.is_exact:
        return
    whole = step(backend, circuit, features, weights)
    apart = [step(backend, circuit, features[at : at + 1], weights) for at in range(PART_SAMPLES)]
    for at, each in enumerate(apart):
        torch.testing.assert_close(each[0], whole[0][at : at + 1])
        torch.testing.assert_close(each[1], whole[1][at : at + 1])
    points = len(rows) // BATCH
    for at in range(2):
        torch.testing.assert_close(run(backend, circuit, rows[at * points][None]), whole[0][at : at + 1])


def seconds(work: Any) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def table(record: dict[str, Any]) -> str:
    """The record in words."""
    one = record["one_submission_seconds"]
    sizes = f"{record['circuit']}, {record['qubits']} qubits, batch {record['batch']}"
    count = f"{record['submissions']} submission of {record['circuits']} circuits"
    lines = [
        f"{sizes}, gradients of features and weights, {record['backend']}, {record['threads']} threads",
        f"a training step: {count} (by formula: {record['circuits_by_formula']})",
        f"one submission        {one:8.2f} s",
    ]
    for what, key, part in (
        ("a run a sample", "sample_by_sample_seconds", f"{record['timed_samples']} samples"),
        ("a run a circuit", "circuit_by_circuit_seconds", f"{record['timed_circuits']} circuits"),
    ):
        took = record[key]
        lines.append(f"{what:<20}  {took:8.2f} s   {took / one:5.1f} times as long (scaled from {part})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
