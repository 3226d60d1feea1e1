from __future__ import annotations

import numpy as np
import pytest
import torch
from engine.kernel_runs import encoder
from references import inputs_of
from strategies import case_of, every_gate

from hybridqies.backends import load_backend
from hybridqies.circuit import Circuit, Weight, gate, list_circuits, load_circuit
from hybridqies.engine import bytes_needed, compile_plan, compile_states, expectations, final_states
from hybridqies.engine.cuda import CudaKernels, is_compiler_installed
from hybridqies.engine.kernels import find_kernels
from hybridqies.heads import build_head, head_options
from hybridqies.heads.base import HeadContext
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}


def value_and_gradients(case, dtype, where):
    given = inputs_of(case, dtype)
    inputs = [None if each is None else each.to(where).requires_grad_() for each in given]
    values = load_backend("statevector").expectations(case.circuit, *inputs)
    cotangents = torch.linspace(-1, 1, values.numel(), dtype=dtype, device=where).reshape(values.shape)
    wanted = [each for each in inputs if each is not None]
    grads = torch.autograd.grad((values * cotangents).sum(), wanted, materialize_grads=True)
    assert all(each.device.type == where for each in (values, *grads))
    return [each.detach().cpu() for each in (values, *grads)]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("name", ["every gate", *list_circuits()])
def test_values_and_gradients_are_those_of_the_cpu(name, batch, dtype):
    circuit = every_gate(4) if name == "every gate" else load_circuit(name, 4)
    case = case_of(circuit, seed=1, batch=batch)
    by_cpu = value_and_gradients(case, dtype, "cpu")
    for ours, theirs in zip(value_and_gradients(case, dtype, "cuda"), by_cpu, strict=True):
        largest = max(1.0, theirs.abs().max().item()) if theirs.numel() else 1.0
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCES[dtype] * largest)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 6, 8, 11, 13, 14, 15, 17])
def test_every_gate_on_states_of_all_sizes(n_qubits, dtype):
    circuit = encoder(n_qubits, 1) if n_qubits < 3 else every_gate(n_qubits)
    case = case_of(circuit, seed=1, batch=3)
    by_cpu = value_and_gradients(case, dtype, "cpu")
    for ours, theirs in zip(value_and_gradients(case, dtype, "cuda"), by_cpu, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=10 * TOLERANCES[dtype])


def test_compiled_kernels_run_where_their_compiler_is_installed():
    if not is_compiler_installed():
        pytest.skip("NVRTC is not installed; pip install 'hybridqies[cuda]'")
    assert isinstance(find_kernels("cuda"), CudaKernels)


@pytest.mark.parametrize("n_qubits", [4, 10, 15])
def test_the_same_bits_from_run_to_run(n_qubits):
    case = case_of(load_circuit("rot-ring", n_qubits), seed=1, batch=70)
    first, second = (value_and_gradients(case, torch.float32, "cuda") for _ in range(2))
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize("n_qubits", [5, 15])
def test_final_states_are_those_of_the_cpu(n_qubits):
    circuit = every_gate(n_qubits)
    plan = compile_states(circuit)
    features, weights, _ = inputs_of(case_of(circuit, seed=1, batch=3))
    found = final_states(plan, features.cuda(), weights.cuda())
    np.testing.assert_allclose(found.cpu(), final_states(plan, features, weights), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_qubits", [4, 15])
def test_steps_can_be_captured_as_a_graph(n_qubits):
    circuit = load_circuit("rot-ring", n_qubits)
    plan = compile_plan(circuit)
    features, weights, _ = inputs_of(case_of(circuit, seed=1, batch=9), torch.float32)
    features, weights = features.cuda(), weights.cuda().requires_grad_()

    def step():
        values = expectations(plan, features, weights)
        return values.detach(), *torch.autograd.grad(values.square().sum(), [weights])

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    features.copy_(-features)
    graph.replay()
    for ours, theirs in zip(found, step(), strict=True):
        assert torch.equal(ours, theirs)


def test_kernels_follow_the_stream_of_their_inputs():
    circuit = load_circuit("rot-ring", 8)
    plan, stream = compile_plan(circuit), torch.cuda.Stream()
    features, weights, _ = inputs_of(case_of(circuit, seed=1, batch=64), torch.float32)
    expected = expectations(plan, features, weights)
    with torch.cuda.stream(stream):
        # The stream is busy when the features arrive on it.
        torch.cuda._sleep(50_000_000)
        found = expectations(plan, features.cuda(), weights.cuda())
    stream.synchronize()
    np.testing.assert_allclose(found.cpu(), expected, rtol=0, atol=1e-5)


def trained_on(where: str) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(24, 8, generator=random), torch.randint(0, 2, (24,), generator=random)
    options = head_options("two-module", {"n_qubits": 4, "encoders": 2})
    head = build_head("two-module", options, HeadContext(8, 2, generator=random)).to(where)
    rows = Labelled(inputs.to(where), labels.to(where))
    fit(head, rows, None, CrossEntropy(), TrainingConfig(epochs=2, batch_size=8))
    return [parameter.detach().cpu() for parameter in head.parameters()]


def test_a_head_trains_as_on_the_cpu():
    for ours, theirs in zip(trained_on("cuda"), trained_on("cpu"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_neither_autocast_nor_tf32_touches_the_state(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
    case = case_of(load_circuit("long-range-encoder", 5), seed=1, batch=9)
    by_cpu = value_and_gradients(case, torch.float32, "cpu")
    with torch.autocast("cuda", torch.float16):
        by_cuda = value_and_gradients(case, torch.float32, "cuda")
    for ours, theirs in zip(by_cuda, by_cpu, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_memory_does_not_grow_with_depth():
    n_qubits, batch = 14, 64
    peaks = []
    for n_gates in (20, 400):
        circuit = Circuit.of(n_qubits, [gate("RX", i % n_qubits, Weight(i)) for i in range(n_gates)])
        features = torch.zeros(batch, 0, device="cuda")
        weights = torch.ones(circuit.n_weights, device="cuda", requires_grad=True)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        load_backend("statevector").expectations(circuit, features, weights).sum().backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
        assert peaks[-1] < 1.2 * bytes_needed(compile_plan(circuit), features, None)
    assert peaks[1] - peaks[0] < 8 * batch * 2**n_qubits
