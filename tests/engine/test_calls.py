"""What a call into compiled code is handed: a plan in three arrays, and inputs known to be finite."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
import torch
from strategies import every_gate

from hybridqies.circuit import load_circuit
from hybridqies.engine import Rules, all_finite, compile_plan, cpu_kernels, simulate, torch_kernels
from hybridqies.engine.packed import unpack


def assert_same(found, expected):
    assert found._fields == expected._fields
    for name in expected._fields:
        ours, theirs = getattr(found, name), getattr(expected, name)
        if isinstance(theirs, np.ndarray):
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name
            assert np.array_equal(ours, theirs), name
        else:
            assert ours == theirs, name


@pytest.mark.parametrize("batched_weights", [False, True])
@pytest.mark.parametrize("block_qubits", [None, 2])
@pytest.mark.parametrize("circuit", [every_gate(), load_circuit("rot-ring", 4)], ids=["gates", "ring"])
def test_a_plan_is_unpacked_as_it_was(circuit, block_qubits, batched_weights):
    plan = compile_plan(circuit, batched_weights=batched_weights, rules=Rules(block_qubits=block_qubits))
    flat = numba.njit(lambda packed: unpack(packed))(plan.packed)
    assert flat.n_qubits == plan.n_qubits
    assert_same(flat.tables, plan.flat.tables)
    assert_same(flat.layout, plan.flat.layout)


@pytest.mark.parametrize("kernels", [cpu_kernels, torch_kernels])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_number_is_looked_at(monkeypatch, kernels, dtype):
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    # Their sum is not finite, and each of them is.
    features, weights = torch.full((33, 2), torch.finfo(dtype).max, dtype=dtype), torch.ones(3, dtype=dtype)
    assert all_finite(features, weights)
    assert all_finite(features[:0], weights)
    for given in (features, weights):
        for at in range(given.numel()):
            for number in (math.nan, math.inf, -math.inf):
                flat, before = given.view(-1), given.view(-1)[at].item()
                flat[at] = number
                assert not all_finite(features, weights)
                assert not all_finite(features.T.contiguous().T, weights)
                flat[at] = before
