from __future__ import annotations

import numpy as np
import pytest
import torch
from references import inputs_of
from strategies import case_of, every_gate

from hybridqies.backends import load_backend
from hybridqies.circuit import Circuit, Weight, gate, list_circuits, load_circuit
from hybridqies.engine import bytes_needed, compile_plan

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
