from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from engine.kernel_runs import BATCHES, DOUBLE, SINGLE, encoder, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from references import inputs_of
from strategies import Case, case_of, cases, circuits, every_gate

from hybridqies.circuit import Circuit, PauliString, Start, Weight, gate, load_circuit
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


def run_kernels(kernels, case: Case, *, batched_weights: bool = False) -> list[torch.Tensor]:
    """Values and the gradients of features, weights and amplitudes, by one of the two kernel modules."""
    features, weights, amplitudes = inputs_of(case)
    plan = compile_plan(case.circuit, batched_weights=batched_weights)
    if amplitudes is not None and amplitudes.is_complex():
        plan = replace(plan, is_real=False)
    if batched_weights:
        weights = weights + torch.linspace(0, 1, len(features), dtype=DOUBLE)[:, None]
    values, kept = kernels.forward(plan, features, weights, amplitudes, keep=True)
    cotangents = torch.linspace(-1, 2, values.numel(), dtype=DOUBLE).reshape(values.shape)
    wanted = amplitudes is not None
    of_features, of_weights, of_amplitudes = kernels.backward(kept, cotangents, wants_amplitudes=wanted)
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
    cotangents = torch.linspace(-1, 1, 27, dtype=DOUBLE).reshape(9, 3)
    expected = torch.autograd.grad(expectations(plan, *inputs), inputs, cotangents)
    turned = torch.autograd.grad(expectations(plan, *inputs), inputs, cotangents.T.contiguous().T)
    assert all(map(torch.equal, expected, turned))
    repeated = torch.autograd.grad(expectations(plan, *inputs), inputs, cotangents[:1, :1].expand(9, 3))
    whole = torch.autograd.grad(expectations(plan, *inputs), inputs, cotangents[:1, :1].expand(9, 3).clone())
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
