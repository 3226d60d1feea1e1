"""The work of a circuit against the engine's own count, and the estimate of energy by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from hybridqies.backends.statevector import StateVector
from hybridqies.circuit import Circuit, PauliString, Weight, gate
from hybridqies.energy import (
    PUBLISHED,
    Constant,
    Constants,
    Work,
    compare_energy,
    count_flops,
    count_work,
    find_crossover,
)
from hybridqies.engine.costs import count_costs
from hybridqies.errors import InputError, UnknownNameError

# Round numbers without uncertainty.
CERTAIN = {
    "qpu_watts": "1000",
    "qpu_shot_seconds": "0.01",
    "qpu_one_qubit_seconds": "0.0001",
    "qpu_two_qubit_seconds": "0.001",
    "gpu_watts": "500",
    "gpu_bytes_per_second": "1e12",
    "gpu_bandwidth_reached": "0.5",
    "gpu_flops_per_second": "1e13",
    "gpu_memory_bytes": "1e11",
    "gates_per_pass": "2",
    "host_factor": "2",
    "link_factor": "4",
}


def layered(n_qubits: int, layers: int, *, controlled: bool = False) -> Circuit:
    """Layers of RX and a ring of CNOTs, or of controlled RX."""
    gates = []
    for layer in range(layers):
        for qubit in range(n_qubits):
            weight = Weight(layer * n_qubits + qubit)
            ring = (qubit, (qubit + 1) % n_qubits)
            gates += [gate("CRX", ring, weight)] if controlled else [gate("RX", qubit, weight)]
            gates += [gate("RY", qubit, 0.3)] if controlled else []
        gates += (
            [] if controlled else [gate("CNOT", (each, (each + 1) % n_qubits)) for each in range(n_qubits)]
        )
    return Circuit.of(n_qubits, gates, [PauliString(((0, "Z"),))])


def planned_flops(circuit: Circuit) -> int:
    return count_costs(StateVector()._compiled(circuit).plan(batched_weights=False), 1).flops


@pytest.mark.parametrize("n_qubits", [3, 5, 8])
def test_a_layer_takes_what_the_engine_counts(n_qubits: int) -> None:
    """Differences of two depths: what a plan saves at the start and spends on reading is in both."""
    deep, deeper = layered(n_qubits, 4), layered(n_qubits, 5)
    formula = count_flops(deeper, gradients=True) - count_flops(deep, gradients=True)
    assert formula == 54 * n_qubits * 2**n_qubits
    assert planned_flops(deeper) - planned_flops(deep) == formula


def test_flops_by_hand() -> None:
    # Three rotations on three qubits; relabellings are free; a controlled rotation moves half of the state.
    circuit = layered(3, 1)
    assert count_flops(circuit) == 3 * 14 * 8
    controlled = layered(3, 1, controlled=True)
    assert count_flops(controlled) == (3 * 14 + 3 * 7) * 8


def test_work_by_hand() -> None:
    assert count_work(layered(3, 2)) == Work(3, 6, 8, 6, 6, 6 * 14 * 8, 64, 64, 12, 1)
    assert count_work(layered(3, 2), gradients=True) == Work(3, 6, 8, 6, 6, 6 * 54 * 8, 64, 128, 36, 13)


def test_energy_by_hand() -> None:
    """2**30 amplitudes of 8 bytes, 100 gates in 50 passes and one more, read and written at 0.5 TB/s."""
    work = Work(30, 40, 90, 60, 40, 60 * 14 * 2**30, 2**33, 2**33, 100, 1)
    (row,) = compare_energy([work], 2000, Constants().replace(CERTAIN))
    assert row.gpu == pytest.approx(2 * 2**33 * 51 / 0.5e12 * 500 * 2)
    # 10 ms, 60 gates of 0.1 ms and 40 of 1 ms.
    assert row.qpu == pytest.approx(2000 * 0.056 * 1000)
    assert row.gpu_interval == pytest.approx((row.gpu, row.gpu))
    assert row.qpu_interval == pytest.approx((row.qpu, row.qpu))
    # A state of 137 GB needs a second GPU and its link.
    larger = dataclasses.replace(work, n_qubits=34, state_bytes=2**37, memory_bytes=2**37)
    (spread,) = compare_energy([larger], 2000, Constants().replace(CERTAIN))
    assert spread.gpu == pytest.approx(16 * 4 * row.gpu)
    # Where arithmetic takes longer than memory, it counts.
    slow = Constants().replace({**CERTAIN, "gpu_flops_per_second": "1e9"})
    assert compare_energy([work], 1, slow)[0].gpu == pytest.approx(60 * 14 * 2**30 / 1e9 * 1000)
    gradients = dataclasses.replace(work, circuits=81)
    assert compare_energy([gradients], 2000, slow)[0].qpu == pytest.approx(81 * row.qpu)


def rising(n_qubits: int) -> Work:
    """Of a circuit whose energy on the GPU doubles with each qubit, and stays the same on the QPU."""
    return Work(n_qubits, 0, 1, 10, 10, 1, 2**n_qubits, 1, 18, 1)


def test_the_crossover_by_hand() -> None:
    constants = Constants().replace(CERTAIN)
    # GPU: 2 * 2**n * 10 / 0.5e12 * 1000 J = 2**n * 4e-8 J. QPU: 21 J a shot.
    exact = np.log2(100 * 21 / 4e-8)
    for sizes in (range(30, 40), (20, 50)):
        found = find_crossover([rising(n) for n in sizes], 100, constants)
        assert found.value == found.low == found.high == pytest.approx(exact, abs=0.01)


def test_the_crossover_is_as_wide_as_the_constants() -> None:
    """A factor of 8 up or down in one constant is three qubits either way."""
    constants = Constants().replace({**CERTAIN, "qpu_watts": "125:1000:8000"})
    works = [rising(n) for n in range(20, 50, 5)]
    found = find_crossover(works, 100, constants)
    assert (found.low, found.value, found.high) == pytest.approx((32.61, 35.61, 38.61), abs=0.15)
    row = compare_energy(works[:1], 100, constants)[0]
    assert row.qpu_interval == pytest.approx((row.qpu / 8, row.qpu * 8), rel=0.1)
    assert find_crossover(works, 100, constants) == found


def test_a_crossover_outside_of_the_sizes() -> None:
    constants = Constants().replace({**CERTAIN, "qpu_watts": "125:1000:8000"})
    below = find_crossover([rising(n) for n in (50, 60)], 100, constants)
    above = find_crossover([rising(n) for n in (10, 20)], 100, constants)
    assert (below.value, below.low, below.high) == ("below", "below", "below")
    assert (above.value, above.low, above.high) == ("above", "above", "above")
    one_side = find_crossover([rising(n) for n in (10, 36)], 100, constants)
    assert one_side.value == pytest.approx(35.61, abs=0.01)
    assert one_side.high == "above"


def test_every_constant_has_a_source_and_an_order() -> None:
    for field in dataclasses.fields(Constants):
        constant = getattr(Constants(), field.name)
        assert 0 < constant.low <= constant.value <= constant.high
        assert constant.source
        assert constant.unit
    drawn = Constant(3.0, 1.0, 9.0, "W", "test").draw(100_000, np.random.default_rng(0))
    assert np.quantile(drawn, (0.05, 0.5, 0.95)) == pytest.approx((1.0, 3.0, 9.0), rel=0.03)
    assert [each["qubits"] for each in PUBLISHED] == [46, 34]


@pytest.mark.parametrize("word", ["x", "1:2", "3:2:1", "0", "-1", "1:2:inf", "nan", "1e-320:1:2", "1e308"])
def test_constants_that_are_refused(word: str) -> None:
    with pytest.raises(InputError, match="constant"):
        Constants().replace({"qpu_watts": word})


def test_other_refusals() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'qpu_watts'"):
        Constants().replace({"qpu_watt": "1"})
    with pytest.raises(InputError, match="0 shots"):
        compare_energy([rising(10)], 0)


@pytest.mark.parametrize("estimate", [compare_energy, find_crossover])
def test_what_no_float_can_hold_is_refused(estimate: Callable[..., object]) -> None:
    with pytest.raises(InputError, match="1,100 qubits was asked for; expected at most 500"):
        estimate([rising(10), rising(1100)], 1000)
    with pytest.raises(InputError, match="shots were asked for; expected 1 to"):
        estimate([rising(10)], 10**400)


def test_the_widest_with_the_most_extreme_constants_is_a_number() -> None:
    words = {field.name: "1e20" for field in dataclasses.fields(Constants)}
    words |= dict.fromkeys(("gpu_bytes_per_second", "gpu_bandwidth_reached", "gates_per_pass"), "1e-20")
    words |= {"gpu_flops_per_second": "1e-20"}
    work = dataclasses.replace(rising(500), flops=10**6 * 2**500, passes=10**4, circuits=10**4)
    (row,) = compare_energy([work], 10**15, Constants().replace(words))
    assert all(map(math.isfinite, (*row.gpu_interval, *row.qpu_interval)))
