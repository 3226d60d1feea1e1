"""Arrays that go from call to call: none of them to two at once, and no bit of an earlier state with it."""

from __future__ import annotations

import numpy as np
import torch
from large_states import as_large_states

from hybridqies.circuit import load_circuit
from hybridqies.engine import compile_plan, expectations, workspace
from hybridqies.engine.workspace import Workspace

FLOAT = np.dtype(np.float32)
LARGE = workspace._LEAST // FLOAT.itemsize


def test_an_array_begins_with_a_cache_line_and_a_large_one_with_a_huge_page() -> None:
    room = Workspace()
    assert room.empty(3, 16, FLOAT).ctypes.data % 64 == 0
    assert room.empty(2, 4 * LARGE, FLOAT).ctypes.data % 2**21 == 0


def test_what_came_back_is_given_out_once() -> None:
    room = Workspace()
    first = room.empty(1, LARGE, FLOAT)
    room.take_back(first)
    assert room.empty(2, LARGE, FLOAT) is not first
    assert room.empty(1, LARGE, np.dtype(np.float64)) is not first
    assert room.empty(1, LARGE, FLOAT) is first
    assert room.empty(1, LARGE, FLOAT) is not first


def test_neither_small_arrays_nor_more_than_the_limit_are_held(monkeypatch) -> None:
    monkeypatch.setattr(workspace, "_MOST", 2 * workspace._LEAST)
    room = Workspace()
    arrays = [room.empty(1, size, FLOAT) for size in (LARGE - 1, LARGE, LARGE, LARGE)]
    room.take_back(*arrays)
    assert room.nbytes == 2 * workspace._LEAST
    again = [room.empty(1, size, FLOAT) for size in (LARGE - 1, LARGE, LARGE, LARGE)]
    found = sum(any(new is old for old in arrays) for new in again)
    assert found == 2
    assert again[0] is not arrays[0]


def test_two_graphs_of_one_plan_do_not_share_a_state(monkeypatch) -> None:
    monkeypatch.setattr(workspace, "_LEAST", 0)
    circuit = load_circuit("long-range-reupload", 5)
    draw = torch.Generator().manual_seed(0)
    features = torch.rand(2, 9, circuit.n_features, generator=draw, dtype=torch.float64)
    weights = torch.rand(circuit.n_weights, generator=draw, dtype=torch.float64, requires_grad=True)

    def gradients(plan, each: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(expectations(plan, each, weights).sum(), weights)[0]

    with as_large_states():
        expected = [gradients(compile_plan(circuit), each) for each in features]
        plan = compile_plan(circuit)
        for _ in range(2):
            graphs = [expectations(plan, each, weights).sum() for each in features]
            with torch.no_grad():
                expectations(plan, features[0], weights)
            found = [torch.autograd.grad(graph, weights)[0] for graph in graphs]
            assert all(map(torch.equal, found, expected))
