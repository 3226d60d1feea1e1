from __future__ import annotations

from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from references import inputs_of
from strategies import Case, case_of, cases, circuits, every_gate

from hybridqies.circuit import Circuit, feature, gate, load_circuit, to_pennylane
from hybridqies.engine import compile_states, final_states, state_plans, torch_kernels
from hybridqies.engine.simulate import fit_plan
from hybridqies.errors import InputError

DOUBLE, SINGLE = torch.float64, torch.float32
TOLERANCES = {DOUBLE: 1e-10, SINGLE: 1e-5}


def by_pennylane(case: Case) -> np.ndarray:
    """The states of PennyLane's own simulator, (B, 2**n), global phase and all."""
    circuit = qml.tape.make_qscript(to_pennylane(case.circuit))
    starts = case.amplitudes if case.amplitudes is not None else [None] * len(case.features)
    made = [circuit(row, case.weights, start) for row, start in zip(case.features, starts, strict=True)]
    tapes = [qml.tape.QuantumScript(each.operations, [qml.state()]) for each in made]
    return np.stack(qml.execute(tapes, qml.device("default.qubit", wires=case.circuit.n_qubits)))


def check(case: Case, dtype: torch.dtype = DOUBLE) -> None:
    ours = final_states(compile_states(case.circuit), *inputs_of(case, dtype))
    assert ours.dtype in (dtype, dtype.to_complex())
    theirs = by_pennylane(case)
    overlaps = (ours.numpy().conj() * theirs).sum(axis=1)
    np.testing.assert_allclose(np.abs(overlaps), 1, rtol=0, atol=TOLERANCES[dtype])
    phases = overlaps / np.abs(overlaps)
    np.testing.assert_allclose(ours.numpy() * phases[:, None], theirs, rtol=0, atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@settings(max_examples=25, deadline=None)
@given(cases())
def test_random_circuits(dtype, case):
    check(case, dtype)


@settings(max_examples=15, deadline=None)
@given(cases(complex_amplitudes=True))
def test_random_circuits_with_complex_amplitudes(case):
    check(case)


def test_every_gate_on_a_batch_that_fills_no_tile():
    check(case_of(every_gate(), seed=3, batch=19))


@pytest.mark.parametrize("n_qubits", [15, 18])
def test_states_that_are_cut_into_pieces(n_qubits):
    circuit = load_circuit("rot-ring", n_qubits=n_qubits, layers=1)
    check(case_of(circuit, seed=1, batch=2))


@settings(max_examples=15, deadline=None)
@given(cases(circuits(max_qubits=4), complex_amplitudes=True, batch=3))
def test_the_path_of_accelerators_agrees(case):
    plan, inputs = compile_states(case.circuit), inputs_of(case, DOUBLE)
    places = state_plans._find_places(plan)
    theirs = torch_kernels.final_states(fit_plan(plan.plan, *inputs[1:]), *inputs, places)
    np.testing.assert_allclose(final_states(plan, *inputs), theirs, rtol=0, atol=1e-12)


def test_real_circuits_have_real_states():
    circuit = Circuit.of(2, [gate("RY", 0, feature(0)), gate("CNOT", (0, 1)), gate("H", 1)])
    states = final_states(compile_states(circuit), *inputs_of(case_of(circuit, seed=0), SINGLE))
    assert states.dtype == SINGLE


def test_weights_a_sample():
    circuit = load_circuit("rot-ring", n_qubits=3, layers=2)
    case = case_of(circuit, seed=5, batch=3)
    features = torch.from_numpy(case.features)
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(3, circuit.n_weights)))
    together = final_states(compile_states(circuit, batched_weights=True), features, weights)
    for row in range(3):
        alone = final_states(compile_states(circuit), features[row : row + 1], weights[row])
        np.testing.assert_allclose(together[row], alone[0], rtol=0, atol=1e-12)
    with pytest.raises(InputError, match="one row for all samples"):
        final_states(compile_states(circuit), features, weights)


def test_an_empty_batch_and_no_gradient():
    circuit = load_circuit("rot-ring", n_qubits=3, layers=1)
    weights = torch.zeros(circuit.n_weights, dtype=DOUBLE, requires_grad=True)
    plan = compile_states(circuit)
    assert final_states(plan, torch.zeros(0, circuit.n_features, dtype=DOUBLE), weights).shape == (0, 8)
    assert not final_states(plan, torch.zeros(2, circuit.n_features, dtype=DOUBLE), weights).requires_grad


def test_what_a_circuit_reads_plays_no_part():
    case = case_of(every_gate(), seed=3)
    narrow = replace(case.circuit, observables=case.circuit.observables[:1])
    inputs = inputs_of(case, DOUBLE)
    ours = final_states(compile_states(narrow), *inputs)
    assert torch.equal(ours, final_states(compile_states(case.circuit), *inputs))
