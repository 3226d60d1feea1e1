"""The CUDA kernels, run on the CPU, against the CPU's own."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine.cuda.emulation import STREAM, read_number
from engine.kernel_runs import DOUBLE, SINGLE, encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import inputs_of
from strategies import Case, case_of, circuits, every_gate

from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import compile_plan, compile_states, cpu_kernels, expectations, simulate, state_plans
from hybridqies.engine.cuda import kernels as module
from hybridqies.errors import InputError

# A card is made anew for each test; hypothesis need not make one for each example.
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run(kernels, case: Case, dtype: torch.dtype = DOUBLE, *, batched_weights: bool = False):
    """Values and the gradients of features, weights and amplitudes."""
    features, weights, amplitudes = inputs_of(case, dtype)
    plan = compile_plan(case.circuit, batched_weights=batched_weights)
    if amplitudes is not None and amplitudes.is_complex():
        plan = replace(plan, is_real=False)
    if batched_weights:
        weights = weights + torch.linspace(0, 1, len(features), dtype=dtype)[:, None]
    values, kept = kernels.forward(plan, features, weights, amplitudes, keep=True)
    cotangents = torch.linspace(-1, 2, values.numel(), dtype=dtype).reshape(values.shape)
    gradients = kernels.backward(kept, cotangents, wants_amplitudes=amplitudes is not None)
    return [values, *(each for each in gradients if each is not None)]


def assert_equal_to_cpu(kernels, case: Case, dtype=DOUBLE, tolerance=1e-11, *, batched_weights=False) -> None:
    by_cuda = run(kernels, case, dtype, batched_weights=batched_weights)
    by_cpu = run(cpu_kernels, case, dtype, batched_weights=batched_weights)
    for ours, theirs in zip(by_cuda, by_cpu, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


ANY_CASE = (st.booleans(), st.booleans(), st.sampled_from([1, 3, 5, 33]), st.integers(0, 2**32 - 1))


def assert_any_case(kernels, circuit, batched_weights, complex_amplitudes, batch, seed) -> None:
    case = case_of(circuit, seed, batch=batch, complex_amplitudes=complex_amplitudes)
    assert_equal_to_cpu(kernels, case, batched_weights=batched_weights)


# Of states that shared memory holds


@settings(SHARED, max_examples=60)
@given(circuits(max_gates=14), *ANY_CASE)
def test_any_circuit(kernels, circuit, batched_weights, complex_amplitudes, batch, seed):
    assert_any_case(kernels, circuit, batched_weights, complex_amplitudes, batch, seed)


@pytest.mark.slow
@settings(SHARED, max_examples=500)
@given(circuits(max_qubits=7, max_gates=40), *ANY_CASE)
def test_many_circuits(kernels, circuit, batched_weights, complex_amplitudes, batch, seed):
    assert_any_case(kernels, circuit, batched_weights, complex_amplitudes, batch, seed)


@pytest.mark.parametrize("batched_weights", [False, True])
@pytest.mark.parametrize("n_qubits", [3, 4, 6, 9])
def test_every_gate(kernels, n_qubits, batched_weights):
    case = case_of(every_gate(n_qubits), seed=n_qubits, batch=5)
    assert_equal_to_cpu(kernels, case, batched_weights=batched_weights)


def test_more_groups_of_amplitudes_than_threads(kernels):
    # In double a block has 256 threads at most, and 12 qubits have 512 groups.
    gates = [gate("RY", qubit, Weight(qubit)) for qubit in range(12)]
    gates += [gate("CRX", (0, 11), Weight(12)), gate("RZZ", (3, 7), Weight(13)), gate("H", 5)]
    strings = [PauliString.on("Z", 0, 11), PauliString.on("X", 3), PauliString.on("Y", 11)]
    assert_equal_to_cpu(kernels, case_of(Circuit.of(12, gates, strings), seed=1, batch=1))


def test_more_steps_and_observables_than_a_window_holds(kernels):
    strings = [PauliString.parse(f"{number:b}"[1:].translate({48: "Z", 49: "X"})) for number in range(16, 32)]
    strings += [PauliString.parse("".join("IXYZ"[(i >> 2 * q) & 3] for q in range(4))) for i in range(1, 200)]
    circuit = replace(encoder(4, 20), observables=tuple(strings))
    assert_equal_to_cpu(kernels, case_of(circuit, seed=3, batch=2))


@pytest.mark.parametrize("name", ["long-range-reupload", "rot-ring"])
def test_single_precision(kernels, name):
    for n_qubits in (4, 8):
        circuit = load_circuit(name, n_qubits) if name == "long-range-reupload" else encoder(n_qubits, 2)
        assert_equal_to_cpu(kernels, case_of(circuit, seed=1, batch=3), SINGLE, 1e-5)


def test_a_pass_is_one_launch_and_the_gradients_of_inputs_another(built, kernels):
    case = case_of(encoder(5, 30), seed=1, batch=40)
    features, weights, amplitudes = inputs_of(case)
    before = read_number(built, "emulated_launches")
    _, kept = kernels.forward(compile_plan(case.circuit), features, weights, amplitudes, keep=True)
    assert read_number(built, "emulated_launches") - before == 1
    kernels.backward(kept, torch.ones(40, 5, dtype=DOUBLE), wants_amplitudes=True)
    assert read_number(built, "emulated_launches") - before == 3
    assert read_number(built, "emulated_stream") == STREAM


# Of states that go through shared memory in cosets


@settings(SHARED, max_examples=25)
@given(circuits(min_qubits=6, max_qubits=8, max_gates=14), *ANY_CASE)
def test_any_circuit_in_cosets(small_card, circuit, batched_weights, complex_amplitudes, batch, seed):
    assert_any_case(small_card, circuit, batched_weights, complex_amplitudes, min(batch, 3), seed)


@pytest.mark.slow
@settings(SHARED, max_examples=150)
@given(circuits(min_qubits=6, max_qubits=9, max_gates=60), *ANY_CASE)
def test_many_circuits_in_cosets(small_card, circuit, batched_weights, complex_amplitudes, batch, seed):
    assert_any_case(small_card, circuit, batched_weights, complex_amplitudes, batch, seed)


@pytest.mark.parametrize("batched_weights", [False, True])
def test_every_gate_in_cosets(small_card, batched_weights):
    assert_equal_to_cpu(small_card, case_of(every_gate(8), seed=8, batch=3), batched_weights=batched_weights)


def test_deep_circuits_take_memory_for_some_steps_at_a_time(built, small_card, monkeypatch):
    case, launches = case_of(encoder(7, 4), seed=2, batch=3), []
    for most_bytes in (2**28, 9_000, 1):
        monkeypatch.setattr(module, "_MOST_BYTES", most_bytes)
        before = read_number(built, "emulated_launches")
        assert_equal_to_cpu(small_card, case)
        launches.append(read_number(built, "emulated_launches") - before)
    assert launches[0] < launches[1] < launches[2]


def test_a_batch_with_many_rotations_goes_back_in_parts(kernels, monkeypatch):
    for batched_weights in (False, True):
        monkeypatch.setattr(module, "_MOST_BYTES", 5000)
        case = case_of(encoder(3, 10), seed=2, batch=20)
        assert_equal_to_cpu(kernels, case, batched_weights=batched_weights)


# Of what users rely on


@pytest.mark.parametrize("shared_bytes", ["232448", "7600"])
def test_the_order_of_threads_changes_no_bit(kernels, monkeypatch, shared_bytes):
    monkeypatch.setenv("EMULATED_SHARED_BYTES", shared_bytes)
    case = case_of(every_gate(7), seed=7, batch=3)
    results = []
    for order in "010":
        monkeypatch.setenv("EMULATED_ORDER", order)
        results.append(run(kernels, case))
    for each in results[1:]:
        assert all(map(torch.equal, results[0], each))


@pytest.mark.parametrize("shared_bytes", ["232448", "7600"])
@pytest.mark.parametrize("start", list(Start))
def test_final_states(kernels, monkeypatch, shared_bytes, start):
    monkeypatch.setenv("EMULATED_SHARED_BYTES", shared_bytes)
    circuit = replace(every_gate(6), start=start)
    plan = compile_states(circuit)
    features, weights, amplitudes = inputs_of(case_of(circuit, seed=1, batch=3))
    expected = state_plans.final_states(plan, features, weights, amplitudes)
    monkeypatch.setattr(state_plans, "find_kernels", lambda device_type: kernels)
    found = state_plans.final_states(plan, features, weights, amplitudes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_through_autograd(kernels, monkeypatch):
    case = case_of(encoder(4, 2), seed=4, batch=5, complex_amplitudes=True)
    inputs = [each for each in inputs_of(case, wants_gradient=True) if each is not None]
    plan = compile_plan(case.circuit)
    expected = torch.autograd.grad(expectations(plan, *inputs).square().sum(), inputs)
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    loss = expectations(plan, *inputs).square().sum()
    # The second pass back finds no states left and runs forward again.
    for _ in range(2):
        found = torch.autograd.grad(loss, inputs, retain_graph=True)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("start", list(Start))
@pytest.mark.parametrize("shared_bytes", ["232448", "7600"])
def test_an_empty_batch(kernels, monkeypatch, shared_bytes, start):
    monkeypatch.setenv("EMULATED_SHARED_BYTES", shared_bytes)
    case = case_of(encoder(6, 1, start), seed=1, batch=0)
    values, *gradients = run(kernels, case)
    assert values.shape == (0, 6)
    assert [each.shape[0] for each in gradients] == [0, case.circuit.n_weights, 0][: len(gradients)]
    assert not gradients[1].any()


def test_any_memory_layout_is_taken(kernels):
    plan, case = compile_plan(encoder(3, 1)), case_of(encoder(3, 1), seed=1, batch=9, complex_amplitudes=True)
    plan = replace(plan, is_real=False)
    features, weights, amplitudes = inputs_of(case)
    expected, _ = kernels.forward(plan, features, weights, amplitudes, keep=False)
    wide = torch.empty(9, 6, dtype=DOUBLE)
    wide[:, ::2] = features
    conjugated = amplitudes.conj().resolve_conj().conj()
    for given_features, start in ((wide[:, ::2], amplitudes.T.contiguous().T), (features, conjugated)):
        found, _ = kernels.forward(plan, given_features, weights, start, keep=False)
        assert torch.equal(found, expected)


@pytest.mark.parametrize(("shared_bytes", "n_qubits"), [("232448", 1), ("7600", 6)])
def test_a_circuit_without_gates_reads_its_amplitudes(kernels, monkeypatch, shared_bytes, n_qubits):
    monkeypatch.setenv("EMULATED_SHARED_BYTES", shared_bytes)
    circuit = Circuit.of(n_qubits, [], [PauliString.on("Z", 0)], start=Start.AMPLITUDES)
    assert_equal_to_cpu(kernels, case_of(circuit, seed=1, batch=2))


def test_features_and_weights_that_nothing_uses_have_no_gradient(kernels):
    gates = [gate("RX", 0, Weight(2)), gate("RZ", 1, Weight(0))]
    circuit = Circuit.of(2, gates, [PauliString.on("Z", 0)])
    _, _, of_weights = run(kernels, case_of(circuit, seed=1, batch=2))
    assert of_weights[:2].tolist() == [0, 0]
    assert of_weights[2] != 0


def test_a_plan_is_laid_out_once_and_its_copies_begin_without(kernels):
    plan = compile_plan(encoder(2, 1))
    features, weights, amplitudes = inputs_of(case_of(encoder(2, 1), seed=1))
    kernels.forward(plan, features, weights, amplitudes, keep=False)
    (first,) = plan.prepared.values()
    assert plan.nbytes - plan.prepared.nbytes == compile_plan(encoder(2, 1)).nbytes
    assert plan.prepared.nbytes > first.part.arrays["steps"].nbytes > 0
    kernels.forward(plan, features, weights, amplitudes, keep=False)
    assert list(plan.prepared.values()) == [first]
    assert replace(plan, is_real=False).prepared is plan.prepared
    assert copy.deepcopy(plan).prepared == {}


def test_memory_is_two_states_a_sample(kernels):
    assert kernels.count_states(compile_plan(encoder(2, 1)), 7, 8) == 14


# Of tensors that the kernels would read past their end


def tensors(**changed: torch.Tensor) -> dict[str, torch.Tensor]:
    given = {"features": torch.zeros(5, 3), "weights": torch.zeros(9), "amplitudes": torch.zeros(5, 8)}
    return given | changed


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"features": torch.zeros(5, 2)}, r"features were given with shape \(5, 2\); expected \(5, 3\)"),
        ({"features": torch.zeros(5, 3).half()}, r"features are torch\.float16; expected torch\.float32 or"),
        ({"weights": torch.zeros(4)}, "4 weights were given; expected 9 or more: the circuit uses them"),
        ({"weights": torch.zeros(5, 9)}, r"weights were given with shape \(5, 9\); expected \(9,\)"),
        (
            {"weights": torch.zeros(9, dtype=DOUBLE)},
            r"weights are torch\.float64 and features torch\.float32",
        ),
        ({"weights": torch.zeros(9, device="meta")}, "weights are on meta and features on cpu; expected one"),
        ({"amplitudes": torch.zeros(4, 8)}, r"amplitudes were given with shape \(4, 8\)"),
        ({"amplitudes": torch.zeros(5, 4)}, r"expected \(5, 8\)"),
        ({"amplitudes": torch.zeros(5, 8, dtype=torch.complex128)}, r"amplitudes are torch\.complex128"),
    ],
)
def test_tensors_that_do_not_fit_the_plan(built, kernels, changed, told):
    gates = [gate("RX", qubit, feature(qubit)) for qubit in range(3)]
    gates += [gate("ROT", qubit, *(Weight(3 * qubit + i) for i in range(3))) for qubit in range(3)]
    plan = compile_plan(Circuit.of(3, gates, start=Start.AMPLITUDES))
    kernels.forward(plan, **tensors(), keep=False)
    before = read_number(built, "emulated_launches")
    with pytest.raises(InputError, match=told):
        kernels.forward(plan, **tensors(**changed), keep=False)
    assert read_number(built, "emulated_launches") == before


def test_amplitudes_are_given_where_the_circuit_starts_from_them(kernels):
    started = compile_plan(Circuit.of(1, [gate("RX", 0, Weight(0))], start=Start.AMPLITUDES))
    plan, given = compile_plan(Circuit.of(1, [gate("RX", 0, Weight(0))])), (torch.zeros(5, 0), torch.zeros(1))
    with pytest.raises(InputError, match="no amplitudes were given"):
        kernels.forward(started, *given, None, keep=False)
    with pytest.raises(InputError, match=r"^amplitudes were given"):
        kernels.forward(plan, *given, torch.zeros(5, 2), keep=False)


def test_each_sample_has_weights_where_the_plan_says_so(kernels):
    plan = compile_plan(Circuit.of(1, [gate("RX", 0, Weight(0))]), batched_weights=True)
    for weights in (torch.zeros(1), torch.zeros(4, 1)):
        with pytest.raises(InputError, match=r"weights were given .*; expected \(5, 1\)"):
            kernels.forward(plan, torch.zeros(5, 0), weights, None, keep=False)
