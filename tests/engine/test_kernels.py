from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from references import inputs_of
from strategies import Case, case_of, cases, circuits, every_gate

from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import bytes_needed, compile_program, cpu, device, expectations, simulate
from hybridqies.engine.program import fill
from hybridqies.errors import CapabilityError

DOUBLE, SINGLE = torch.float64, torch.float32
BATCHES = (1, 7, 8, 9, 16, 17, 33)


@pytest.fixture
def threads():
    """Sets torch's number of threads, and puts it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def run_kernels(kernels, case: Case) -> list[torch.Tensor]:
    """Values, final state, and the gradients of amplitudes and matrices, by one of the two kernel modules."""
    features, weights, amplitudes = inputs_of(case)
    program = compile_program(case.circuit)
    if amplitudes is not None and amplitudes.is_complex():
        program = replace(program, is_real=False)
    pools = fill(program, features, weights)
    start = None if amplitudes is None else amplitudes.to(pools.shared_two.dtype)
    values, final = kernels.forward(program, pools, start, len(features))
    slopes = torch.linspace(-1, 1, values.numel(), dtype=DOUBLE).reshape(values.shape)
    of_start, of_pools = kernels.backward(program, pools, final, slopes)
    return [values, final, of_start, *of_pools]


def value_and_gradients(case: Case, dtype: torch.dtype = DOUBLE) -> list[torch.Tensor]:
    inputs = [each for each in inputs_of(case, dtype, wants_gradient=True) if each is not None]
    values = expectations(compile_program(case.circuit), *inputs)
    slopes = torch.linspace(-1, 1, values.numel(), dtype=dtype).reshape(values.shape)
    return [values, *torch.autograd.grad((values * slopes).sum(), inputs)]


def encoder(n_qubits: int, layers: int) -> Circuit:
    gates = [gate("RY", qubit, feature(qubit)) for qubit in range(n_qubits)]
    for layer, qubit in itertools.product(range(layers), range(n_qubits)):
        gates += [gate("ROT", qubit, *(Weight(3 * (layer * n_qubits + qubit) + i) for i in range(3)))]
        gates += [gate("CNOT", (qubit, (qubit + 1) % n_qubits))]
    return Circuit.of(n_qubits, gates, start=Start.AMPLITUDES)


@pytest.mark.parametrize("batch", BATCHES)
@settings(max_examples=8, deadline=None)
@given(cases(circuits(max_gates=10), complex_amplitudes=True))
def test_torch_operations_equal_the_cpu_kernels(batch, case):
    case = case_of(case.circuit, seed=batch, batch=batch, complex_amplitudes=True)
    for ours, theirs in zip(run_kernels(cpu, case), run_kernels(device, case), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch", BATCHES)
def test_torch_operations_equal_the_cpu_kernels_on_every_gate_and_on_real_states(batch):
    for circuit in (every_gate(4), load_circuit("long-range-encoder", 4)):
        case = case_of(circuit, seed=batch, batch=batch)
        for ours, theirs in zip(run_kernels(cpu, case), run_kernels(device, case), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("autocast", [False, True])
def test_gradients_by_torch_operations_through_autograd(monkeypatch, autocast):
    case = case_of(encoder(3, 2), seed=4, batch=5)
    by_cpu = value_and_gradients(case, SINGLE)
    monkeypatch.setattr(simulate, "_kernels", lambda tensor: device)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        by_torch = value_and_gradients(case, SINGLE)
    for ours, theirs in zip(by_cpu, by_torch, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_threads_change_no_bit(threads, batch, dtype):
    case = case_of(encoder(4, 3), seed=batch, batch=batch)
    threads(1)
    alone = value_and_gradients(case, dtype)
    threads(2)
    assert all(map(torch.equal, alone, value_and_gradients(case, dtype)))


@pytest.mark.parametrize("batch", BATCHES)
def test_a_sample_does_not_feel_its_batch(batch):
    case = case_of(encoder(3, 2), seed=batch, batch=batch)
    program = compile_program(case.circuit)
    features, weights, amplitudes = inputs_of(case, wants_gradient=True)
    together = expectations(program, features, weights, amplitudes)
    slopes = torch.autograd.grad(together.sum(), [features, amplitudes])
    for b in range(batch):
        one = [each[b : b + 1].detach().requires_grad_() for each in (features, amplitudes)]
        alone = expectations(program, one[0], weights, one[1])
        assert torch.equal(together[b : b + 1], alone)
        for ours, theirs in zip(slopes, torch.autograd.grad(alone.sum(), one), strict=True):
            np.testing.assert_allclose(ours[b : b + 1], theirs, rtol=0, atol=1e-15)


@pytest.mark.parametrize("width", [0, 1, 2, 8])
def test_narrow_tiles_change_no_value(monkeypatch, width):
    case = case_of(encoder(4, 2), seed=2, batch=17)
    expected = value_and_gradients(case)
    monkeypatch.setattr(cpu, "_TILE_AMPLITUDES", width * 2**4)
    assert cpu.lanes_of(4, 17) == max(1, width)
    values, *grads = value_and_gradients(case)
    assert torch.equal(values, expected[0])
    for ours, theirs in zip(grads, expected[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


def test_one_sample_of_many_qubits_takes_a_few_states():
    program = compile_program(Circuit.of(24, [gate("RX", 0, Weight(0))]))
    assert bytes_needed(program, torch.zeros(1, 0), None) <= 8 * 8 * 2**24


def test_an_error_in_a_tile_is_not_lost(threads):
    def fail_late(start):
        if start == 32:
            raise ValueError("the third tile")

    for count in (1, 2):
        threads(count)
        with pytest.raises(ValueError, match="the third tile"):
            cpu._each_tile(fail_late, range(0, 64, 16))


def saved_states(circuit: Circuit, amplitudes: torch.Tensor | None = None) -> list[torch.Tensor]:
    """What autograd keeps of the simulation that is as large as a state."""
    kept: list[torch.Tensor] = []
    features = torch.zeros(2, circuit.n_features)
    weights = torch.zeros(circuit.n_weights, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each) or each, lambda each: each):
        expectations(compile_program(circuit), features, weights, amplitudes)
    return [each for each in kept if each.shape == (2, 2**circuit.n_qubits)]


def test_real_circuits_keep_real_states():
    gates = [gate("RY", 0, Weight(0)), gate("CRY", (0, 5), Weight(1)), gate("H", 3), gate("CZ", (3, 4))]
    strings = [PauliString.on("X", 1), PauliString.on("Y", 2, 3)]
    real = Circuit.of(6, gates, strings, start=Start.AMPLITUDES)
    vector = torch.nn.functional.one_hot(torch.tensor([3, 4]), 64).float()
    assert [each.dtype for each in saved_states(real, vector)] == [SINGLE]
    assert [each.dtype for each in saved_states(real, vector.to(torch.complex64))] == [torch.complex64]
    odd = replace(real, observables=(*strings, PauliString.on("Y", 1)))
    assert [each.dtype for each in saved_states(odd, vector)] == [torch.complex64]
    turned = replace(real, gates=(*gates, gate("S", 0)))
    assert [each.dtype for each in saved_states(turned, vector)] == [torch.complex64]


def peak_of_arrays(circuit: Circuit, batch: int) -> int:
    """The largest number of bytes held by numpy arrays during a forward and backward pass."""
    inputs = inputs_of(case_of(circuit, seed=0, batch=batch), wants_gradient=True)
    program = compile_program(circuit)
    expectations(program, *inputs).sum().backward()
    tracemalloc.start()
    try:
        expectations(program, *inputs).sum().backward()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_depth(threads):
    threads(1)
    n_qubits, batch = 10, 32
    state = 16 * batch * 2**n_qubits
    peaks = {}
    for n_gates in (10, 100, 1000):
        gates = [gate("RX", i % n_qubits, Weight(i)) for i in range(n_gates)]
        circuit = Circuit.of(n_qubits, gates)
        peaks[n_gates] = peak_of_arrays(circuit, batch)
        assert len(saved_states(circuit)) == 1
    # What grows is the matrices: their adjoints, a gradient a tile, and the sum of those with its conjugate.
    matrices = (batch // cpu.LANES + 4) * 4 * 16
    for n_gates in (100, 1000):
        grown = peaks[n_gates] - peaks[10]
        assert grown < matrices * n_gates + 10_000
        assert grown < state


@pytest.mark.parametrize("batch", [3, 40])
def test_the_memory_that_is_announced_is_used(threads, batch):
    threads(1)
    for circuit in (encoder(10, 1), load_circuit("long-range-encoder", 10)):
        features, _, amplitudes = inputs_of(case_of(circuit, seed=0, batch=batch))
        announced = bytes_needed(compile_program(circuit), features, amplitudes)
        assert 0.6 * announced < peak_of_arrays(circuit, batch) < 1.1 * announced


def test_a_second_derivative_is_refused():
    case = case_of(every_gate(), seed=0)
    features, weights, _ = inputs_of(case, wants_gradient=True)
    values = expectations(compile_program(case.circuit), features, weights)
    with pytest.raises(CapabilityError, match="second derivative"):
        torch.autograd.grad(values.sum(), features, create_graph=True)


def test_backward_may_be_called_again():
    case = case_of(encoder(3, 1), seed=0, batch=9)
    inputs = inputs_of(case, wants_gradient=True)
    total = expectations(compile_program(case.circuit), *inputs).sum()
    first = torch.autograd.grad(total, inputs, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(total, inputs)))


@pytest.mark.parametrize("wanted", [each for n in (1, 2) for each in itertools.combinations(range(3), n)])
def test_only_the_gradients_that_are_wanted(wanted):
    case = case_of(encoder(3, 1), seed=0, batch=3)
    program = compile_program(case.circuit)
    inputs = inputs_of(case, wants_gradient=True)
    everything = torch.autograd.grad(expectations(program, *inputs).sum(), inputs)
    some = [each.detach().requires_grad_(i in wanted) for i, each in enumerate(inputs)]
    expectations(program, *some).sum().backward()
    for i, (each, full) in enumerate(zip(some, everything, strict=True)):
        assert (each.grad is None) == (i not in wanted)
        assert each.grad is None or torch.equal(each.grad, full)


def test_no_gradient_no_graph():
    case = case_of(every_gate(), seed=0)
    features, weights, _ = inputs_of(case, wants_gradient=True)
    program = compile_program(case.circuit)
    with torch.no_grad():
        assert not expectations(program, features, weights).requires_grad
    with torch.inference_mode():
        inside = expectations(program, features, weights)
    assert torch.equal(inside, expectations(program, features, weights).detach())


@pytest.mark.parametrize("kernels", [cpu, device])
def test_an_empty_batch(monkeypatch, kernels):
    monkeypatch.setattr(simulate, "_kernels", lambda tensor: kernels)
    circuit = encoder(2, 1)
    features = torch.zeros(0, 2, requires_grad=True)
    weights = torch.rand(circuit.n_weights, requires_grad=True)
    values = expectations(compile_program(circuit), features, weights, torch.zeros(0, 4))
    values.sum().backward()
    assert values.shape == (0, 2)
    assert features.grad.shape == (0, 2)
    assert weights.grad.tolist() == [0.0] * circuit.n_weights


@pytest.mark.parametrize("kernels", [cpu, device])
def test_any_memory_layout_is_taken_and_compiles_nothing_new(monkeypatch, kernels):
    monkeypatch.setattr(simulate, "_kernels", lambda tensor: kernels)
    circuit = encoder(3, 1)
    program = compile_program(circuit)
    case = case_of(circuit, seed=1, batch=9, complex_amplitudes=True)
    features, weights, amplitudes = inputs_of(case)
    expected = expectations(program, features, weights, amplitudes)
    compiled = len(cpu.run_forward.signatures) if kernels is cpu else 0
    wide = torch.empty(9, 6, dtype=DOUBLE)
    wide[:, ::2] = features
    layouts = [
        (wide[:, ::2], weights.flip(0).flip(0), amplitudes.T.contiguous().T),
        (features, weights, amplitudes.conj().resolve_conj().conj()),
    ]
    for each in layouts:
        np.testing.assert_allclose(expectations(program, *each), expected, rtol=0, atol=1e-14)
    same = (features[:1].expand(9, -1), weights, amplitudes[:1].expand(9, -1))
    repeated = expectations(program, *same)
    np.testing.assert_allclose(repeated, expected[:1].expand(9, -1), rtol=0, atol=1e-14)
    if kernels is cpu:
        assert len(cpu.run_forward.signatures) == compiled


@pytest.mark.parametrize("kernels", [cpu, device])
def test_inputs_stay_as_they_were(monkeypatch, kernels):
    monkeypatch.setattr(simulate, "_kernels", lambda tensor: kernels)
    case = case_of(encoder(3, 1), seed=1, batch=3)
    inputs = inputs_of(case, wants_gradient=True)
    before = [each.detach().clone() for each in inputs]
    expectations(compile_program(case.circuit), *inputs).sum().backward()
    assert all(map(torch.equal, before, inputs))


def test_a_circuit_without_gates_reads_its_amplitudes():
    circuit = Circuit.of(1, [], start=Start.AMPLITUDES)
    amplitudes = torch.tensor([[0.6, 0.8]], requires_grad=True)
    values = expectations(compile_program(circuit), torch.zeros(1, 0), torch.zeros(0), amplitudes)
    values.sum().backward()
    np.testing.assert_allclose(values.detach(), [[0.36 - 0.64]], rtol=0, atol=1e-7)
    np.testing.assert_allclose(amplitudes.grad, [[1.2, -1.6]], rtol=0, atol=1e-7)
