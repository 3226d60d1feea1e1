"""The size of a submission before it is sent: circuits, depth, shots, jobs, time and price."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hybridqies.backends.executor import ExecutingBackend
from hybridqies.backends.jobs.limits import check_together
from hybridqies.backends.measurement_bases import split_by_basis
from hybridqies.backends.rates import Rates
from hybridqies.backends.remote import RemoteBackend
from hybridqies.circuit import Circuit


@dataclass(frozen=True, slots=True)
class DryRun:
    """One circuit's part of a submission: `shots` per circuit, `seconds` and `price` in total.

    Seconds and price are None if the backend has no rate, `head` if the circuit belongs to none.
    `run_as` and `operations` of a sample say how the native simulator computes exact values; see `ExactCost`.
    """

    backend: str
    circuit: str
    n_qubits: int
    circuits: int
    depth: int
    two_qubit_gates: int
    shots: int | None
    total_shots: int
    jobs: int
    seconds: float | None = None
    price: float | None = None
    currency: str | None = None
    head: str | None = None
    run_as: str | None = None
    operations: int | None = None


def dry_run(
    backend: ExecutingBackend, circuit: Circuit, rows: int | Mapping[int, int], rates: Rates | None = None
) -> DryRun:
    """The size of `circuit` on `backend`, submitted once with `rows` rows of angles.

    A mapping gives the number of submissions by their number of rows.

    Depth and gates are those of the deepest of its measured circuits, compiled for the target.

    Raises
    ------
    CapabilityError: the backend cannot run the circuit, or one row has more circuits than a job may.
    """
    backend.check(circuit)
    cost = backend.exact_cost(circuit)
    measured = split_by_basis(backend.free(circuit).circuit) if cost is None else [circuit]
    if isinstance(backend, RemoteBackend) and backend.has_jobs:
        check_together(len(measured), backend.provider().max_circuits, backend.label)
    compiled = max((backend.resources(each) for each in measured), key=lambda each: each.depth)
    times = rows if isinstance(rows, Mapping) else {operator.index(rows): 1}
    circuits, shots = len(measured) * sum(each * n for each, n in times.items()), backend.options.shots
    jobs = sum(n * backend.n_jobs(len(measured), each) for each, n in times.items())
    total = circuits * (shots or 0)
    plan = DryRun(
        backend=backend.spec,
        circuit=circuit.name,
        n_qubits=circuit.n_qubits,
        circuits=circuits,
        depth=compiled.depth,
        two_qubit_gates=compiled.gates_2q,
        shots=shots,
        total_shots=total,
        jobs=jobs,
        run_as=None if cost is None else str(cost),
        operations=None if cost is None else cost.operations,
    )
    rate = None if rates is None else rates.of(backend.label)
    if rate is None:
        return plan
    gates = {"gates_1q": compiled.gates_1q, "gates_2q": compiled.gates_2q}
    price = rate.price(jobs=jobs, circuits=circuits, shots=shots or 0, **gates)
    seconds = rate.seconds(jobs=jobs, shots=total)
    return replace(plan, seconds=seconds, price=price, currency=rate.currency)
