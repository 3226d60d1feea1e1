"""What is made for a circuit is kept for the last circuits, and for no more."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hybridqies.backends import circuit_cache, load_backend
from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.circuit import Circuit, Weight, gate, load_circuit


def circuit(at: int) -> Circuit:
    return Circuit.of(1, [gate("RX", 0, Weight(0, 1.0 + at))])


class Made:
    """Something that can be watched going away."""


def test_the_last_ones_are_kept_and_the_others_freed():
    cache = CircuitCache(lambda _: Made(), size=3)
    circuits = [circuit(at) for at in range(5)]
    first = weakref.ref(cache(circuits[0]))
    for each in circuits:
        cache(each)
    gc.collect()
    assert len(cache) == 3
    assert first() is None
    kept = cache(circuits[2])
    cache(circuits[0])
    cache(circuits[1])
    assert cache(circuits[2]) is kept


def test_large_circuits_are_kept_in_smaller_numbers(monkeypatch):
    monkeypatch.setattr(circuit_cache, "_MOST_GATES", 25)
    cache = CircuitCache(lambda _: Made())
    for _ in range(4):
        cache(replace(circuit(0), gates=circuit(0).gates * 10))
    assert len(cache) == 2
    cache(replace(circuit(0), gates=circuit(0).gates * 100))
    assert len(cache) == 1


def test_threads_may_share_a_cache():
    cache = CircuitCache(lambda each: each.gates, size=1)
    circuits = [circuit(at) for at in range(4)]

    def look_up(at: int) -> bool:
        return all(cache(circuits[(at + i) % 4]) is circuits[(at + i) % 4].gates for i in range(5000))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(look_up, range(4)))


@pytest.mark.parametrize("by_content", [False, True])
def test_equal_circuits_share_by_content_alone(by_content):
    cache = CircuitCache(lambda _: Made(), by_content=by_content)
    one, other = circuit(0), replace(circuit(0))
    assert (cache(one) is cache(other)) is by_content
    assert cache(one) is cache(one)


@pytest.mark.parametrize("spec", ["statevector", "aer", "pennylane", "statevector,shots=10", "aer,shots=10"])
def test_no_backend_keeps_more_than_its_cache_holds(spec):
    import torch

    backend = load_backend(spec)
    caches = [each for each in vars(backend).values() if isinstance(each, CircuitCache)]
    assert caches
    for cache in caches:
        cache._size = 2
    for at in range(4):
        each = circuit(at)
        backend.expectations(each, torch.zeros(1, 0), torch.ones(1))
    assert all(len(cache) <= 2 for cache in caches)
    assert any(len(cache) == 2 for cache in caches)


def test_a_compiled_circuit_is_found_again_whoever_wrote_it():
    pytest.importorskip("qiskit_ibm_runtime")
    from hybridqies.backends.device_snapshots import load_snapshot
    from hybridqies.backends.transpiler import Transpiler

    transpiler = Transpiler(load_snapshot("fake_manila").target)
    one = load_circuit("rot-ring", 2)
    free = replace(
        one,
        gates=tuple(replace(each, angles=(Weight(0),) * len(each.angles)) for each in one.gates),
        n_features=0,
        n_weights=1,
    )
    assert transpiler(free) is transpiler(replace(free))
