from __future__ import annotations

import itertools
import math
import multiprocessing
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from large_states import as_large_states
from references import inputs_of
from strategies import Case, case_of, cases, circuits, every_gate

from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import (
    Rules,
    bytes_needed,
    compile_plan,
    cpu_kernels,
    expectations,
    simulate,
    tiles,
    torch_kernels,
)
from hybridqies.engine.call import lanes_of
from hybridqies.engine.plan import Plan
from hybridqies.engine.workers import each_part
from hybridqies.errors import CapabilityError

DOUBLE, SINGLE = torch.float64, torch.float32
BATCHES = (1, 7, 8, 9, 16, 17, 33)


@pytest.fixture
def threads(monkeypatch):
    """Sets torch's number of threads, which even the smallest plan then uses, and puts it back."""
    monkeypatch.setattr(cpu_kernels, "_WORTH_A_THREAD", 0)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(params=[False, True], ids=["whole tiles", "pieces"])
def path(request):
    """Both ways through the CPU kernels: a thread a tile, and all threads on the pieces of one."""
    if not request.param:
        yield "whole tiles"
        return
    with as_large_states():
        yield "pieces"


def run_kernels(kernels, case: Case, *, batched_weights: bool = False) -> list[torch.Tensor]:
    """Values and the gradients of features, weights and amplitudes, by one of the two kernel modules."""
    features, weights, amplitudes = inputs_of(case)
    plan = compile_plan(case.circuit, batched_weights=batched_weights)
    if amplitudes is not None and amplitudes.is_complex():
        plan = replace(plan, is_real=False)
    if batched_weights:
        weights = weights + torch.linspace(0, 1, len(features), dtype=DOUBLE)[:, None]
    values, kept = kernels.forward(plan, features, weights, amplitudes, keep=True)
    slopes = torch.linspace(-1, 2, values.numel(), dtype=DOUBLE).reshape(values.shape)
    wanted = amplitudes is not None
    of_features, of_weights, of_amplitudes = kernels.backward(kept, slopes, wants_amplitudes=wanted)
    assert (of_amplitudes is not None) == wanted
    return [values, of_features, of_weights, *([of_amplitudes] if wanted else [])]


def assert_both_modules_agree(case: Case, *, batched_weights: bool = False) -> None:
    by_cpu, by_torch = (
        run_kernels(kernels, case, batched_weights=batched_weights)
        for kernels in (cpu_kernels, torch_kernels)
    )
    for ours, theirs in zip(by_cpu, by_torch, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)


def value_and_gradients(case: Case, dtype: torch.dtype = DOUBLE, rules: Rules | None = None):
    inputs = [each for each in inputs_of(case, dtype, wants_gradient=True) if each is not None]
    values = expectations(compile_plan(case.circuit, rules=rules), *inputs)
    slopes = torch.linspace(-1, 1, values.numel(), dtype=dtype).reshape(values.shape)
    return [values.detach(), *torch.autograd.grad((values * slopes).sum(), inputs)]


def encoder(n_qubits: int, layers: int, start: Start = Start.AMPLITUDES) -> Circuit:
    gates = [gate("RY", qubit, feature(qubit)) for qubit in range(n_qubits)]
    for layer, qubit in itertools.product(range(layers), range(n_qubits)):
        gates += [gate("ROT", qubit, *(Weight(3 * (layer * n_qubits + qubit) + i) for i in range(3)))]
        gates += [gate("CNOT", (qubit, (qubit + 1) % n_qubits))]
    return Circuit.of(n_qubits, gates, start=start)


# Of torch operations and compiled kernels


@pytest.mark.parametrize("batch", BATCHES)
@settings(max_examples=20, deadline=None)
@given(cases(circuits(max_gates=10), complex_amplitudes=True))
def test_torch_operations_equal_the_cpu_kernels(batch, case):
    case = case_of(case.circuit, seed=batch, batch=batch, complex_amplitudes=True)
    assert_both_modules_agree(case)


@pytest.mark.slow
@pytest.mark.parametrize("batch", BATCHES)
def test_torch_operations_equal_the_cpu_kernels_on_many_circuits(batch):
    @settings(max_examples=500, deadline=None)
    @given(circuits(max_gates=20), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
    def run(circuit, batched_weights, complex_amplitudes, seed):
        case = case_of(circuit, seed, batch=batch, complex_amplitudes=complex_amplitudes)
        assert_both_modules_agree(case, batched_weights=batched_weights)

    run()


@pytest.mark.parametrize("batched_weights", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_torch_operations_equal_the_cpu_kernels_on_every_gate_and_on_real_states(batch, batched_weights):
    for circuit in (every_gate(4), load_circuit("long-range-encoder", 4), encoder(3, 2)):
        assert_both_modules_agree(case_of(circuit, seed=batch, batch=batch), batched_weights=batched_weights)


@pytest.mark.parametrize("autocast", [False, True])
def test_gradients_by_torch_operations_through_autograd(monkeypatch, autocast):
    case = case_of(encoder(3, 2), seed=4, batch=5)
    by_cpu = value_and_gradients(case, SINGLE)
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: torch_kernels)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        by_torch = value_and_gradients(case, SINGLE)
    for ours, theirs in zip(by_cpu, by_torch, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


# Of batches, tiles and threads


@pytest.mark.parametrize(
    ("n_qubits", "itemsize", "widths"),
    [(6, 4, {1: 1, 2: 8, 8: 8, 9: 16, 100: 16}), (6, 8, {1: 1, 2: 8, 9: 8}), (18, 4, {1: 1, 2: 8, 9: 8})],
)
def test_a_tile_is_the_narrowest_that_takes_the_batch(n_qubits, itemsize, widths):
    assert {batch: lanes_of(n_qubits, batch, itemsize) for batch in widths} == widths


@pytest.mark.parametrize("batch", [1, 9, 33])
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_threads_change_no_bit(threads, path, batch, dtype):
    case = case_of(encoder(5, 2), seed=batch, batch=batch)
    rules = Rules(block_qubits=3)
    threads(1)
    alone = value_and_gradients(case, dtype, rules)
    for count in (2, 3, 5):
        threads(count)
        assert all(map(torch.equal, alone, value_and_gradients(case, dtype, rules)))


def test_threads_change_no_bit_of_a_product_start(threads, path):
    case = case_of(encoder(5, 2, Start.ZERO), seed=1, batch=9)
    threads(1)
    alone = value_and_gradients(case)
    threads(3)
    assert all(map(torch.equal, alone, value_and_gradients(case)))


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_both_ways_through_the_kernels_agree(dtype):
    case = case_of(encoder(6, 2), seed=1, batch=9)
    whole = value_and_gradients(case, dtype)
    for width in (None, 2, 5):
        with as_large_states():
            in_pieces = value_and_gradients(case, dtype, Rules(block_qubits=width))
        for ours, theirs in zip(in_pieces, whole, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 if dtype == DOUBLE else 1e-5)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_sample_does_not_feel_its_batch(path, batch):
    case = case_of(encoder(3, 2), seed=batch, batch=batch)
    plan = compile_plan(case.circuit)
    features, weights, amplitudes = inputs_of(case, wants_gradient=True)
    together = expectations(plan, features, weights, amplitudes)
    slopes = torch.autograd.grad(together.sum(), [features, amplitudes])
    for b in range(batch):
        one = [each[b : b + 1].detach().requires_grad_() for each in (features, amplitudes)]
        alone = expectations(plan, one[0], weights, one[1])
        assert torch.equal(together[b : b + 1], alone)
        for ours, theirs in zip(slopes, torch.autograd.grad(alone.sum(), one), strict=True):
            assert torch.equal(ours[b : b + 1], theirs)


def test_a_sample_that_is_not_a_number_stays_alone(path):
    circuit = Circuit.of(2, [gate("RX", 0, feature(0)), gate("CRY", (0, 1), Weight(0))])
    features = torch.linspace(0, 1, 9, dtype=DOUBLE)[:, None]
    features[4] = math.nan
    with torch.no_grad():
        values = expectations(compile_plan(circuit), features, torch.ones(1, dtype=DOUBLE))
    assert values.isnan().any(dim=1).tolist() == [b == 4 for b in range(9)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_error_in_a_thread_is_not_lost(count):
    done: list[Any] = []

    def run(first, last):
        if last == 10:
            raise ValueError("the last part")
        done.extend(range(first, last))

    with pytest.raises(ValueError, match="the last part"):
        each_part(run, 10, count)
    # Nobody goes on while another still works.
    assert sorted(done) == list(range(10 * (count - 1) // count))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_error_in_a_tile_is_not_lost(monkeypatch, threads, count):
    real = tiles.forward_tiles

    def fail_late(flat, inputs, amplitudes, first, last, *others):
        if last == 5:
            raise ValueError("the fifth tile")
        real(flat, inputs, amplitudes, first, last, *others)

    threads(count)
    case = case_of(encoder(2, 1), seed=0, batch=33)
    value_and_gradients(case)
    monkeypatch.setattr(tiles, "forward_tiles", fail_late)
    with pytest.raises(ValueError, match="the fifth tile"):
        value_and_gradients(case)


@pytest.mark.parametrize("threads_asked", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_parts_cover_everything_once(count, threads_asked):
    parts = []
    each_part(lambda first, last: parts.append((first, last)), count, threads_asked)
    assert sorted(at for first, last in parts for at in range(first, last)) == list(range(count))
    assert len(parts) == max(1, min(count, threads_asked))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own(threads, path):
    threads(2)
    case = case_of(encoder(5, 1), seed=0, batch=33)
    expected = value_and_gradients(case)
    forks = multiprocessing.get_context("fork")
    answers = forks.SimpleQueue()

    def compute():
        answers.put([each.tolist() for each in value_and_gradients(case)])

    process = forks.Process(target=compute)
    process.start()
    process.join(timeout=60)
    if process.is_alive():
        process.kill()
        pytest.fail("the forked process waits for threads that it does not have")
    assert process.exitcode == 0
    assert answers.get() == [each.tolist() for each in expected]
    assert all(map(torch.equal, expected, value_and_gradients(case)))


# Of memory


def peak_of_arrays(
    circuit: Circuit, batch: int, *, backwards: bool = True, rules: Rules | None = None
) -> int:
    """The largest number of bytes held by arrays of numpy and of compiled code during a pass."""
    inputs = inputs_of(case_of(circuit, seed=0, batch=batch), wants_gradient=backwards)

    def run(plan: Plan) -> None:
        values = expectations(plan, *inputs)
        if backwards:
            values.sum().backward()

    run(compile_plan(circuit, rules=rules))
    peaks = []
    tracemalloc.start()
    try:
        # What else is alive in the process can only add: the least of three is what a pass takes.
        for _ in range(3):
            # A new one, which holds no arrays of an earlier call.
            plan = compile_plan(circuit, rules=rules)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            run(plan)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return min(peaks)


def test_memory_does_not_grow_with_depth(threads, path):
    threads(1)
    n_qubits, batch = 10, 64
    state = 16 * batch * 2**n_qubits
    n_steps, peaks = {}, {}
    # Blocks as wide as they are in earnest: hundreds of narrow ones would be half of what is counted.
    rules = Rules(block_qubits=7 if path == "pieces" else None)
    for n_gates in (10, 100, 1000):
        gates = [gate("RX", i % n_qubits, Weight(i)) for i in range(n_gates)]
        between = [gate("CZ", (i % n_qubits, (i + 1) % n_qubits)) for i in range(n_gates)]
        circuit = Circuit.of(n_qubits, [each for pair in zip(gates, between, strict=True) for each in pair])
        n_steps[n_gates] = len(compile_plan(circuit).steps)
        peaks[n_gates] = peak_of_arrays(circuit, batch, rules=rules)
    assert n_steps[100] > 8 * n_steps[10]
    assert n_steps[1000] > 8 * n_steps[100]
    # A state of each sample, and a bra of one tile.
    assert state < peaks[10] < 1.2 * state
    # What grows: matrices of two steps, cosines and slopes, these for each tile and each piece.
    of_a_gate = 2 * 64 + 16 + 8 * (batch // 8) + 3 * 2 * 8 * (2 if path == "whole tiles" else 8)
    for n_gates in (100, 1000):
        grown = peaks[n_gates] - peaks[10]
        assert grown < of_a_gate * n_gates + 10_000
        assert grown < 0.7 * state


@pytest.mark.parametrize("batch", [3, 40])
def test_the_memory_that_is_announced_is_used(threads, path, batch):
    threads(1)
    for circuit in (encoder(11, 1, Start.ZERO), load_circuit("long-range-encoder", 11)):
        plan = compile_plan(circuit)
        announced = bytes_needed(plan, torch.zeros(batch, 11, dtype=DOUBLE), None)
        assert announced == (-(-batch // 8) + 1) * 8 * (1 if plan.is_real else 2) * 8 * 2**11
        # The gradient of amplitudes counts as an input.
        beside = 8 * batch * 2**11 if circuit.start is Start.AMPLITUDES else 0
        rules = Rules(block_qubits=7 if path == "pieces" else None)
        peak = peak_of_arrays(circuit, batch, rules=rules)
        assert announced < peak - beside < 1.25 * announced


def test_no_thread_has_more_than_a_bra(threads):
    threads(3)
    circuit = encoder(12, 2, Start.ZERO)
    announced = bytes_needed(compile_plan(circuit), torch.zeros(48, 12, dtype=DOUBLE), None)
    tile = 8 * 16 * 2**12
    assert announced == (6 + 3) * tile
    # How many bras there are at once is up to the threads.
    assert 7 * tile < peak_of_arrays(circuit, 48) < 1.1 * announced


def test_one_sample_of_many_qubits_takes_two_states():
    plan = compile_plan(Circuit.of(24, [gate("RX", 0, Weight(0))]))
    assert bytes_needed(plan, torch.zeros(1, 0), None) == 2 * 8 * 2**24


def test_without_gradients_no_state_is_kept(threads, path):
    threads(1)
    batch, n_qubits = 40, 10
    peak = peak_of_arrays(encoder(n_qubits, 1, Start.ZERO), batch, backwards=False)
    tile = 8 * 16 * 2**n_qubits
    assert 0.95 * tile < peak < 1.5 * tile


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_kernels_keep_what_they_are_asked_to_keep(kernels):
    features, weights, _ = inputs_of(case_of(every_gate(), seed=0))
    plan = compile_plan(every_gate())
    values, kept = kernels.forward(plan, features, weights, None, keep=False)
    again, kept_again = kernels.forward(plan, features, weights, None, keep=True)
    assert kept is None
    assert kept_again is not None
    assert torch.equal(values, again)


# Of real and complex states


def kept_of(circuit: Circuit, amplitudes: torch.Tensor | None = None):
    """What a call with gradients has kept: on the CPU the call and its states."""
    features = torch.zeros(2, circuit.n_features)
    weights = torch.zeros(circuit.n_weights, requires_grad=True)
    values = expectations(compile_plan(circuit), features, weights, amplitudes)
    return values.grad_fn.kept  # type: ignore[attr-defined]


def test_real_circuits_keep_real_states(monkeypatch):
    gates = [gate("RY", 0, Weight(0)), gate("CRY", (0, 5), Weight(1)), gate("H", 3), gate("CZ", (3, 4))]
    strings = [PauliString.on("X", 0), PauliString.on("Y", 2, 3)]
    real = Circuit.of(6, gates, strings, start=Start.AMPLITUDES)
    vector = torch.nn.functional.one_hot(torch.tensor([3, 4]), 64).float()
    odd = replace(real, observables=(*strings, PauliString.on("Y", 1)))
    turned = replace(real, gates=(*gates, gate("S", 0)))
    for circuit, start, n_planes in [
        (real, vector, 1),
        (real, vector.to(torch.complex64), 2),
        (odd, vector, 2),
        (turned, vector, 2),
    ]:
        call, states = kept_of(circuit, start)
        assert len(call.shape[1]) == n_planes
        assert states.shape == (1, 8 * n_planes * 64)
        assert states.dtype == np.float32
        asked = bytes_needed(compile_plan(circuit), torch.zeros(2, 0), start)
        assert asked == 2 * states.nbytes
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: torch_kernels)
    assert kept_of(real, vector)[-1].dtype == SINGLE
    assert kept_of(turned, vector)[-1].dtype == torch.complex64


def test_an_imaginary_gate_that_nothing_reads_leaves_a_circuit_real():
    circuit = Circuit.of(2, [gate("RY", 0, Weight(0)), gate("S", 1), gate("RZ", 0, Weight(1))])
    assert not circuit.is_real
    assert compile_plan(circuit).is_real
    assert not compile_plan(circuit, rules=Rules(prune=False)).is_real


# Of autograd


def test_a_second_derivative_is_refused():
    case = case_of(every_gate(), seed=0)
    features, weights, _ = inputs_of(case, wants_gradient=True)
    values = expectations(compile_plan(case.circuit), features, weights)
    with pytest.raises(CapabilityError, match="second derivative"):
        torch.autograd.grad(values.sum(), features, create_graph=True)


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_transforms_of_torch_func_are_refused_by_name(monkeypatch, kernels):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    case = case_of(encoder(3, 1), seed=0, batch=4)
    features, weights, _ = inputs_of(case)
    plan = compile_plan(case.circuit)

    def run(rows: torch.Tensor) -> torch.Tensor:
        assert simulate.all_finite(rows.detach() if rows.requires_grad else rows, weights)
        return expectations(plan, rows, weights)

    for transform in (
        lambda: torch.func.vmap(run)(features[:, None]),
        lambda: torch.func.grad(lambda rows: run(rows).sum())(features),
        lambda: torch.func.jacrev(run)(features),
        lambda: torch.autograd.functional.jacobian(run, features, vectorize=True),
    ):
        with pytest.raises(CapabilityError, match=r"torch\.func"):
            transform()
    assert torch.autograd.functional.jacobian(run, features).shape == (*run(features).shape, *features.shape)


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_backward_may_be_called_again(monkeypatch, path, kernels):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    case = case_of(encoder(3, 1), seed=0, batch=9)
    inputs = inputs_of(case, wants_gradient=True)
    total = expectations(compile_plan(case.circuit), *inputs).sum()
    first = torch.autograd.grad(total, inputs, retain_graph=True)
    second = torch.autograd.grad(total, inputs, retain_graph=True)
    assert all(map(torch.equal, first, second))
    assert all(map(torch.equal, first, torch.autograd.grad(total, inputs)))


@pytest.mark.parametrize("changed", [0, 1, 2])
@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_an_input_changed_in_place_is_refused(monkeypatch, kernels, changed):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    case = case_of(encoder(3, 1), seed=0, batch=9)
    inputs = inputs_of(case, wants_gradient=True)
    total = expectations(compile_plan(case.circuit), *inputs).sum()
    with torch.no_grad():
        inputs[changed].mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize("wanted", [each for n in (1, 2) for each in itertools.combinations(range(3), n)])
def test_only_the_gradients_that_are_wanted(wanted):
    case = case_of(encoder(3, 1), seed=0, batch=3)
    plan = compile_plan(case.circuit)
    inputs = inputs_of(case, wants_gradient=True)
    everything = torch.autograd.grad(expectations(plan, *inputs).sum(), inputs)
    some = [each.detach().requires_grad_(i in wanted) for i, each in enumerate(inputs)]
    expectations(plan, *some).sum().backward()
    for i, (each, full) in enumerate(zip(some, everything, strict=True)):
        assert (each.grad is None) == (i not in wanted)
        assert each.grad is None or torch.equal(each.grad, full)


def test_no_gradient_no_graph():
    case = case_of(every_gate(), seed=0)
    features, weights, _ = inputs_of(case, wants_gradient=True)
    plan = compile_plan(case.circuit)
    with torch.no_grad():
        assert not expectations(plan, features, weights).requires_grad
    with torch.inference_mode():
        inside = expectations(plan, features, weights)
    assert torch.equal(inside, expectations(plan, features, weights).detach())


# Of unusual inputs


@pytest.mark.parametrize("start", list(Start))
@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_an_empty_batch(monkeypatch, path, kernels, start):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    circuit = encoder(3, 1, start)
    features = torch.zeros(0, 3, dtype=DOUBLE, requires_grad=True)
    weights = torch.rand(circuit.n_weights, dtype=DOUBLE, requires_grad=True)
    amplitudes = None if start is Start.ZERO else torch.zeros(0, 8, dtype=DOUBLE, requires_grad=True)
    values = expectations(compile_plan(circuit), features, weights, amplitudes)
    values.sum().backward()
    assert values.shape == (0, 3)
    assert features.grad.shape == (0, 3)
    assert weights.grad.tolist() == [0.0] * circuit.n_weights
    assert amplitudes is None or amplitudes.grad.shape == (0, 8)


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_any_memory_layout_is_taken_and_compiles_nothing_new(monkeypatch, kernels):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    circuit = encoder(3, 1)
    plan = compile_plan(circuit)
    case = case_of(circuit, seed=1, batch=9, complex_amplitudes=True)
    features, weights, amplitudes = inputs_of(case)
    expected = expectations(plan, features, weights, amplitudes)
    compiled = len(tiles.forward_tiles.signatures)  # type: ignore[attr-defined]
    wide = torch.empty(9, 6, dtype=DOUBLE)
    wide[:, ::2] = features
    layouts = [
        (wide[:, ::2], weights.flip(0).flip(0), amplitudes.T.contiguous().T),
        (features, weights, amplitudes.conj().resolve_conj().conj()),
        (features, (-weights)._neg_view(), amplitudes),
    ]
    for each in layouts:
        np.testing.assert_allclose(expectations(plan, *each), expected, rtol=0, atol=1e-14)
    same = (features[:1].expand(9, -1), weights, amplitudes[:1].expand(9, -1))
    repeated = expectations(plan, *same)
    np.testing.assert_allclose(repeated, expected[:1].expand(9, -1), rtol=0, atol=1e-14)
    assert len(tiles.forward_tiles.signatures) == compiled  # type: ignore[attr-defined]


def test_gradients_of_any_memory_layout_are_taken():
    case = case_of(encoder(3, 1), seed=1, batch=9)
    inputs = inputs_of(case, wants_gradient=True)
    plan = compile_plan(case.circuit)
    slopes = torch.linspace(-1, 1, 27, dtype=DOUBLE).reshape(9, 3)
    expected = torch.autograd.grad(expectations(plan, *inputs), inputs, slopes)
    turned = torch.autograd.grad(expectations(plan, *inputs), inputs, slopes.T.contiguous().T)
    assert all(map(torch.equal, expected, turned))
    repeated = torch.autograd.grad(expectations(plan, *inputs), inputs, slopes[:1, :1].expand(9, 3))
    whole = torch.autograd.grad(expectations(plan, *inputs), inputs, slopes[:1, :1].expand(9, 3).clone())
    assert all(map(torch.equal, repeated, whole))


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
def test_inputs_stay_as_they_were(monkeypatch, path, kernels):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    case = case_of(encoder(3, 1), seed=1, batch=3)
    inputs = inputs_of(case, wants_gradient=True)
    before = [each.detach().clone() for each in inputs]
    expectations(compile_plan(case.circuit), *inputs).sum().backward()
    assert all(map(torch.equal, before, inputs))


def test_a_circuit_without_gates_reads_its_amplitudes(path):
    circuit = Circuit.of(1, [], start=Start.AMPLITUDES)
    amplitudes = torch.tensor([[0.6, 0.8]], dtype=DOUBLE, requires_grad=True)
    nothing = torch.zeros(1, 0, dtype=DOUBLE)
    values = expectations(compile_plan(circuit), nothing, nothing[0], amplitudes)
    values.sum().backward()
    np.testing.assert_allclose(values.detach(), [[0.36 - 0.64]], rtol=0, atol=1e-15)
    np.testing.assert_allclose(amplitudes.grad, [[1.2, -1.6]], rtol=0, atol=1e-15)
