"""Work for IonQ, and what can be said of its results."""

from __future__ import annotations

import itertools
import traceback
from typing import Any

import numpy as np

from hybridqies.backends.ionq_provider import IonQProvider
from hybridqies.backends.jobs.provider import (
    Counts,
    JobState,
    Work,
)
from hybridqies.circuit import GATES, Circuit, PauliString, Weight, gate

VARIABLES = ("IONQ_API_KEY", "IONQ_API_TOKEN", "QISKIT_IONQ_API_TOKEN", "QISKIT_IONQ_API_URL")
LOST = [
    {"kind": "drop"},
    {"kind": "drop", "accepted": True},
    {"kind": "hang", "seconds": 0.3},
    {"kind": "hang", "seconds": 0.3, "accepted": True},
    {"kind": "truncate"},
    {"kind": "garble"},
    {"kind": "500"},
    {"kind": "500", "accepted": True},
    {"kind": "502", "accepted": True},
    {"kind": "504"},
    {"kind": "409"},
]


def flip(qubit: int, n_qubits: int = 3) -> Circuit:
    """|0...0> with one qubit turned by the weight: a bit flip at pi."""
    return Circuit.of(n_qubits, [gate("RX", qubit, Weight(0))])


def work_of(*circuits: Circuit, angles: Any = ((np.pi,),), shots: int = 50, seed: int = 3) -> Work:
    rows = np.asarray(angles, dtype=np.float64)
    return Work("ionq:simulator", circuits or (flip(0),), rows, shots, seed)


def every_gate(n_qubits: int, seed: int) -> Circuit:
    """Every gate of the set, in random order on random qubits, with weights that are shared and scaled."""
    generator = np.random.default_rng(seed)
    gates = [gate("RY", qubit, 0.4 + 0.3 * qubit) for qubit in range(n_qubits)]
    for name in generator.permutation(list(GATES)):
        kind = GATES[name]
        qubits = tuple(int(q) for q in generator.permutation(n_qubits)[: kind.n_qubits])
        angles = [Weight(int(generator.integers(4)), float(generator.normal())) for _ in kind.angles]
        gates.append(gate(name, qubits, *angles))
    observables = [PauliString.on("Z", qubit) for qubit in range(n_qubits)]
    observables += [PauliString.on("Z", *pair) for pair in itertools.combinations(range(n_qubits), 2)]
    return Circuit(n_qubits, tuple(gates), tuple(observables), 0, 4)


def measured(provider: IonQProvider, work: Work) -> list[Counts]:
    job_id = provider.submit(work.key(), work)
    assert provider.status(job_id).state is JobState.COMPLETED
    return list(provider.counts(job_id, work))


def expectations(circuit: Circuit, counts: Counts) -> list[float]:
    shots = sum(counts.values())
    return [
        sum((-1) ** sum(bits[qubit] == "1" for qubit, _ in each.factors) * n for bits, n in counts.items())
        / shots
        for each in circuit.observables
    ]


def text_of(error: BaseException) -> str:
    return repr(error) + "".join(traceback.format_exception(error))
