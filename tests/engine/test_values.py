from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from references import by_pennylane, by_qiskit, doubled, inputs_of
from strategies import Case, case_of, cases, circuits, every_gate

from hybridqies.backends import load_backend
from hybridqies.circuit import (
    GATES,
    Circuit,
    Gate,
    PauliString,
    Start,
    Weight,
    feature,
    gate,
    list_circuits,
    load_circuit,
)
from hybridqies.engine import compile_plan, expectations

DOUBLE, SINGLE = torch.float64, torch.float32
TOLERANCES = {DOUBLE: 1e-10, SINGLE: 1e-5}
# The state of three qubits is fixed by these and their like on every qubit.
READ = [PauliString.parse(word) for word in ("XII", "IYI", "IIZ", "ZXY", "YZX", "XYZ", "ZZI", "IXX", "YIY")]


def check(case: Case, dtype: torch.dtype) -> None:
    inputs = inputs_of(case, dtype)
    ours = load_backend("statevector").expectations(case.circuit, *inputs)
    assert ours.dtype == dtype
    for theirs in (by_pennylane(case.circuit, doubled(inputs)), by_qiskit(case.circuit, doubled(inputs))):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@settings(max_examples=25, deadline=None)
@given(cases())
def test_random_circuits(dtype, case):
    check(case, dtype)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@settings(max_examples=15, deadline=None)
@given(cases(complex_amplitudes=True))
def test_random_circuits_with_complex_amplitudes(dtype, case):
    check(case, dtype)


@settings(max_examples=25, deadline=None)
@given(
    cases(
        circuits(
            max_gates=30,
            n_weights=2,
            kinds=[GATES[name] for name in ("X", "CNOT", "SWAP", "CNOT", "RY", "CRX", "RYY", "RXX", "CZ")],
        )
    )
)
def test_random_circuits_that_mostly_relabel(case):
    check(case, DOUBLE)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("complex_amplitudes", [False, True])
def test_many_random_circuits(dtype, complex_amplitudes):
    @settings(max_examples=500, deadline=None)
    @given(cases(complex_amplitudes=complex_amplitudes))
    def run(case):
        check(case, dtype)

    run()


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_one_circuit_with_every_gate(dtype):
    check(case_of(every_gate(), seed=5, batch=3), dtype)


@pytest.mark.parametrize("complex_amplitudes", [False, True])
@pytest.mark.parametrize(
    ("name", "source"),
    [
        (name, source)
        for name in GATES
        for source in (feature, Weight)
        if GATES[name].angles or source is Weight
    ],
)
def test_each_gate_alone_on_all_qubits_in_every_order(name, source, complex_amplitudes):
    kind = GATES[name]
    for qubits in itertools.permutations(range(3), kind.n_qubits):
        angles = tuple(source(i) for i in range(len(kind.angles)))
        circuit = Circuit.of(3, [Gate(kind, qubits, angles)], READ, start=Start.AMPLITUDES)
        inputs = inputs_of(case_of(circuit, seed=len(name), complex_amplitudes=complex_amplitudes))
        ours = load_backend("statevector").expectations(circuit, *inputs)
        np.testing.assert_allclose(ours, by_pennylane(circuit, inputs), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("name", list_circuits())
def test_each_shipped_recipe(name, dtype):
    check(case_of(load_circuit(name, n_qubits=4), seed=2), dtype)


@pytest.mark.parametrize(("qubit", "expected"), [(0, [-1, 1, 1]), (1, [1, -1, 1]), (2, [1, 1, -1])])
def test_qubit_0_is_the_most_significant_bit(qubit, expected):
    flipped = Circuit.of(3, [gate("X", qubit)])
    nothing = torch.zeros(1, 0, dtype=DOUBLE)
    assert expectations(compile_plan(flipped), nothing, nothing[0]).tolist() == [expected]
    started = Circuit.of(3, [], start=Start.AMPLITUDES)
    amplitudes = torch.zeros(1, 8, dtype=DOUBLE)
    amplitudes[0, 4 >> qubit] = 1
    assert expectations(compile_plan(started), nothing, nothing[0], amplitudes).tolist() == [expected]


def test_the_identity_reads_one():
    circuit = Circuit.of(2, [gate("RX", 0, feature(0))], [PauliString(())])
    values = load_backend("statevector").expectations(circuit, torch.rand(3, 1), torch.zeros(0))
    np.testing.assert_allclose(values, np.ones((3, 1)), rtol=0, atol=1e-6)


def test_single_precision_keeps_the_phase_of_an_angle_of_many_turns():
    circuit = Circuit.of(
        1, [gate("H", 0), gate("RZ", 0, feature(0, 1, 2, scale=math.pi))], [PauliString.parse("X")]
    )
    features = torch.linspace(2.9, 3.1, 300).reshape(100, 3)
    values = expectations(compile_plan(circuit), features, torch.zeros(0))
    exact = torch.cos(math.pi * features.double().prod(dim=1))
    assert (values[:, 0].double() - exact).abs().max() < 1e-6


def test_single_precision_sums_many_amplitudes():
    n_qubits = 16
    gates = [gate("RY", qubit, feature(0)) for qubit in range(n_qubits)]
    plan = compile_plan(Circuit.of(n_qubits, gates, [PauliString.on("Z", 3), PauliString.on("X", 9)]))
    values = expectations(plan, torch.full((1, 1), 1.1), torch.zeros(0))
    angle = torch.tensor(1.1).double()
    assert (values.double() - torch.stack([angle.cos(), angle.sin()])).abs().max() < 1e-5


@settings(max_examples=15, deadline=None)
@given(cases(batch=3))
def test_weights_of_each_sample_are_the_loop_over_samples(case):
    features, weights, amplitudes = inputs_of(case)
    rows = torch.stack([weights, 2 * weights, weights.cos()])
    backend = load_backend("statevector")
    together = backend.expectations(case.circuit, features, rows, amplitudes)
    for b in range(3):
        vector = None if amplitudes is None else amplitudes[b : b + 1]
        alone = backend.expectations(case.circuit, features[b : b + 1], rows[b], vector)
        np.testing.assert_allclose(together[b : b + 1], alone, rtol=0, atol=1e-13)


def test_every_angle_may_be_constant_beside_weights_of_each_sample():
    circuit = Circuit.of(2, [gate("RX", 0, 0.3), gate("RY", 1, Weight(0)), gate("CRZ", (0, 1), feature(0))])
    weights = torch.tensor([[0.1], [0.7]], dtype=DOUBLE)
    values = load_backend("statevector").expectations(circuit, torch.zeros(2, 1, dtype=DOUBLE), weights)
    expected = [[math.cos(0.3), math.cos(0.1)], [math.cos(0.3), math.cos(0.7)]]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-14)
