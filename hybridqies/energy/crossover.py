"""Energy of a circuit on a GPU and on a quantum processor, and from how many qubits the GPU needs more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hybridqies.energy.constants import Constants
from hybridqies.energy.work import Work
from hybridqies.errors import InputError

Numbers = Mapping[str, Any]
"""A number, or an array of draws, for each constant."""

DRAWS = 4000
# Larger states have energies that are no floats.
MOST_QUBITS, MOST_SHOTS = 500, 10**15
_QUANTILES = (0.05, 0.95)

PUBLISHED = (
    {"qubits": 46, "kind": "estimated", "source": "arXiv:2504.08732"},
    {"qubits": 34, "kind": "measured", "source": "arXiv:2605.02798"},
)
"""Published numbers of qubits where a GPU's simulation needs as much energy as a quantum processor."""


@dataclass(frozen=True, slots=True)
class Row:
    """One size of a circuit: its work, and energies in joules with their 90 % intervals (low, high)."""

    work: Work
    gpu: float
    gpu_interval: tuple[float, float]
    qpu: float
    qpu_interval: tuple[float, float]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        row = asdict(self)
        work: dict[str, Any] = row.pop("work")
        return {
            **work,
            **{name: list(each) if isinstance(each, tuple) else each for name, each in row.items()},
        }


@dataclass(frozen=True, slots=True)
class Crossover:
    """Qubits from which the GPU needs more energy, with the 90 % interval (low, high).

    What lies outside of the sizes that were compared is "below" or "above".
    """

    value: float | str
    low: float | str
    high: float | str


def gpu_joules(work: Work, constants: Numbers) -> Any:
    """The energy of one state-vector simulation on GPUs.

    Each pass reads and writes a state; one more writes the start, or reads the observables. What one GPU has
    no memory for is spread over several, each with its share of the work, and waits for their links.
    """
    passes = work.passes / constants["gates_per_pass"] + 1
    moved = 2 * work.state_bytes * passes
    seconds = np.maximum(
        moved / (constants["gpu_bytes_per_second"] * constants["gpu_bandwidth_reached"]),
        work.flops / constants["gpu_flops_per_second"],
    )
    spread = work.memory_bytes > constants["gpu_memory_bytes"]
    links = np.where(spread, constants["link_factor"], 1.0)
    return seconds * links * constants["gpu_watts"] * constants["host_factor"]


def qpu_joules(work: Work, shots: int, constants: Numbers) -> Any:
    """The energy of `shots` of each circuit on a chain of ions, whose gates come one after the other."""
    seconds = (
        constants["qpu_shot_seconds"]
        + work.one_qubit_gates * constants["qpu_one_qubit_seconds"]
        + work.two_qubit_gates * constants["qpu_two_qubit_seconds"]
    )
    return work.circuits * shots * seconds * constants["qpu_watts"]


def compare_energy(works: Sequence[Work], shots: int, constants: Constants | None = None) -> list[Row]:
    """Both energies for each size.

    Raises
    ------
    InputError: fewer than one shot or over MOST_SHOTS, or a circuit on over MOST_QUBITS.
    """
    _check(works, shots)
    constants = constants or Constants()
    central, drawn = constants.central(), constants.draw(DRAWS)
    return [
        Row(
            work,
            float(gpu_joules(work, central)),
            _interval(gpu_joules(work, drawn)),
            float(qpu_joules(work, shots, central)),
            _interval(qpu_joules(work, shots, drawn)),
        )
        for work in works
    ]


def find_crossover(works: Sequence[Work], shots: int, constants: Constants | None = None) -> Crossover:
    """Where the energy of the GPU overtakes that of the quantum processor, between the sizes of `works`.

    The logarithm of their ratio is taken as straight between two sizes. The interval has 90 % of random
    constants.

    Raises
    ------
    InputError: as `compare_energy`.
    """
    _check(works, shots)
    constants = constants or Constants()
    qubits = np.array([work.n_qubits for work in works], dtype=float)
    central = _log_ratio(works, shots, {name: np.array([each]) for name, each in constants.central().items()})
    drawn = np.sort(_cross(qubits, _log_ratio(works, shots, constants.draw(DRAWS))))
    low, high = (drawn[round(each * (DRAWS - 1))] for each in _QUANTILES)
    return Crossover(*(_in_words(each) for each in (_cross(qubits, central)[0], low, high)))


def _check(works: Sequence[Work], shots: int) -> None:
    if not 1 <= shots <= MOST_SHOTS:
        raise InputError(f"{shots} shots were asked for", expected=f"1 to {MOST_SHOTS:,}")
    widest = max((work.n_qubits for work in works), default=0)
    if widest > MOST_QUBITS:
        raise InputError(
            f"the energy of a circuit on {widest:,} qubits was asked for", expected=f"at most {MOST_QUBITS}"
        )


def _log_ratio(works: Sequence[Work], shots: int, constants: Numbers) -> np.ndarray:
    """Logarithms of GPU by QPU, (sizes, draws)."""
    rows = [np.log(gpu_joules(work, constants) / qpu_joules(work, shots, constants)) for work in works]
    return np.stack(rows)


def _cross(qubits: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """Where each column crosses zero upwards for the last time; ±∞ where all of it is above or below."""
    found = np.full(ratios.shape[1], math.inf)
    found[ratios[-1] > 0] = -math.inf
    for at in range(len(qubits) - 1):
        left, right = ratios[at], ratios[at + 1]
        here = (left <= 0) & (right > 0) & (ratios[-1] > 0)
        share = np.where(here, -left / np.where(here, right - left, 1.0), 0.0)
        found = np.where(here, qubits[at] + share * (qubits[at + 1] - qubits[at]), found)
    return found


def _interval(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, _QUANTILES)
    return float(low), float(high)


def _in_words(value: float) -> float | str:
    if math.isfinite(value):
        return round(float(value), 2)
    return "above" if value > 0 else "below"
