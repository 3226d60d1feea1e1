from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from large_states import as_large_states
from references import inputs_of
from strategies import Case, case_of, cases, circuits, every_gate

from hybridqies.circuit import GATES, Circuit, PauliString, Start, Weight, feature, gate, load_circuit
from hybridqies.engine import Rules, compile_plan, expectations

# The circuit gate by gate, which every shortcut has to agree with.
BARE = Rules(prune=False, fuse=False, product=False, pair=False)
# Each shortcut alone; those that name a width cut the state into blocks, which usually only large states are.
ALONE = {name: replace(BARE, **{name: True}) for name in ("prune", "fuse", "product", "pair")}
BLOCKS = {f"blocks of {width}": replace(BARE, block_qubits=width) for width in (1, 2, 3, 4)}
EVERYTHING = {f"all, blocks of {width}": Rules(block_qubits=width) for width in (1, 2, 3, 4)}
ROWS = {**ALONE, **BLOCKS, **EVERYTHING, "all": Rules()}
CONTROLLED = [GATES[name] for name in ("CRX", "CRY", "CRZ", "CY", "CZ", "CNOT", "SWAP", "X", "RY", "H")]


def value_and_gradients(case: Case, rules: Rules, *, batched_weights: bool = False) -> list[torch.Tensor]:
    features, weights, amplitudes = inputs_of(case)
    if batched_weights:
        weights = weights * torch.linspace(0.5, 2, len(features), dtype=torch.float64)[:, None]
    inputs = [each.requires_grad_() for each in (features, weights, amplitudes) if each is not None]
    values = expectations(compile_plan(case.circuit, batched_weights=batched_weights, rules=rules), *inputs)
    cotangents = torch.linspace(-1, 1.5, values.numel(), dtype=values.dtype).reshape(values.shape)
    return [values.detach(), *torch.autograd.grad((values * cotangents).sum(), inputs)]


def check(case: Case, rules: Rules, *, batched_weights: bool = False, large: bool = False) -> None:
    expected = value_and_gradients(case, BARE, batched_weights=batched_weights)
    with as_large_states() if large else nullcontext():
        ours = value_and_gradients(case, rules, batched_weights=batched_weights)
    for mine, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=25, deadline=None)
@given(cases(circuits(max_gates=20)), st.booleans())
def test_each_rule_changes_no_value_and_no_gradient(name, case, batched_weights):
    check(case, ROWS[name], batched_weights=batched_weights)


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=12, deadline=None)
@given(cases(circuits(starts=(Start.AMPLITUDES,)), complex_amplitudes=True), st.booleans())
def test_each_rule_with_complex_amplitudes(name, case, batched_weights):
    check(case, ROWS[name], batched_weights=batched_weights)


@pytest.mark.parametrize("name", [*BLOCKS, *EVERYTHING, "all", "product"])
@settings(max_examples=16, deadline=None)
@given(cases(circuits(max_gates=20)) | cases(complex_amplitudes=True), st.booleans())
def test_each_rule_on_the_way_of_large_states(name, case, batched_weights):
    check(case, ROWS[name], batched_weights=batched_weights, large=True)


@pytest.mark.parametrize("large", [False, True], ids=["whole tiles", "pieces"])
@pytest.mark.parametrize("width", [1, 2, 3])
@settings(max_examples=30, deadline=None)
@given(cases(circuits(min_qubits=4, max_gates=24, kinds=CONTROLLED)))
def test_controls_outside_a_block(width, large, case):
    check(case, Rules(block_qubits=width), large=large)


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True], ids=["whole tiles", "pieces"])
@pytest.mark.parametrize("name", ROWS)
def test_each_rule_on_many_circuits(name, large):
    of_circuit = circuits(6, max_gates=24)

    @settings(max_examples=300, deadline=None)
    @given(cases(of_circuit) | cases(of_circuit, complex_amplitudes=True), st.booleans())
    def run(case, batched_weights):
        check(case, ROWS[name], batched_weights=batched_weights, large=large)

    run()


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True], ids=["whole tiles", "pieces"])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_controls_outside_a_block_on_many_circuits(width, large):
    @settings(max_examples=300, deadline=None)
    @given(cases(circuits(6, min_qubits=4, max_gates=30, kinds=CONTROLLED)))
    def run(case):
        check(case, Rules(block_qubits=width), large=large)

    run()


@pytest.mark.parametrize("large", [False, True], ids=["whole tiles", "pieces"])
@pytest.mark.parametrize("name", ROWS)
def test_each_rule_on_every_gate(name, large):
    check(case_of(every_gate(5), seed=3, batch=9), ROWS[name], large=large)
    from_amplitudes = replace(every_gate(5), start=Start.AMPLITUDES)
    check(case_of(from_amplitudes, seed=3, batch=9), ROWS[name], batched_weights=True, large=large)


def real_circuit(start: Start) -> Circuit:
    """Only real gates, some of them controlled from far, between relabelled qubits."""
    gates = [gate("RY", q, feature(q)) for q in range(5)]
    for q in range(5):
        gates += [
            gate("CRY", (q, (q + 2) % 5), Weight(q)),
            gate("CNOT", (q, (q + 1) % 5)),
            gate("X", q),
            gate("CZ", (q, (q + 3) % 5)),
            gate("H", q),
            gate("Y", (q + 1) % 5),
            gate("RY", q, Weight(q, -0.5)),
        ]
    words = ("ZIIII", "IXIIZ", "YIYII", "IIIXZ")
    return Circuit.of(5, gates, [PauliString.parse(word) for word in words], start=start)


@pytest.mark.parametrize("large", [False, True], ids=["whole tiles", "pieces"])
@pytest.mark.parametrize("start", list(Start))
@pytest.mark.parametrize("name", ROWS)
def test_each_rule_on_real_states(name, start, large):
    circuit = real_circuit(start)
    assert compile_plan(circuit, rules=ROWS[name]).is_real
    check(case_of(circuit, seed=1, batch=2), ROWS[name], large=large)
    check(case_of(circuit, seed=1, batch=2), ROWS[name], batched_weights=True, large=large)


@pytest.mark.parametrize("width", [3, 5, 7])
def test_blocks_of_a_deep_circuit_of_more_qubits(width):
    case = case_of(load_circuit("rot-ring", 9, layers=4), seed=0)
    check(case, Rules(block_qubits=width))
    check(case, Rules(block_qubits=width), large=True)
