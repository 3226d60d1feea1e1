from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate as OpaqueGate
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import CRYGate, QFTGate, UnitaryGate
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector
from strategies import cases, circuits, every_gate

from hybridqies.circuit import (
    Circuit,
    PauliString,
    Start,
    Weight,
    feature,
    from_qiskit,
    gate,
    observables_to_qiskit,
    to_qiskit,
)
from hybridqies.errors import CircuitError

ZERO = (Start.ZERO,)


@settings(max_examples=60, deadline=None)
@given(circuits(starts=ZERO))
def test_there_and_back_gives_the_same_gates(circuit):
    back = from_qiskit(to_qiskit(circuit), observables=circuit.observables)
    assert (back.gates, back.observables, back.name) == (circuit.gates, circuit.observables, circuit.name)


def test_there_and_back_with_every_gate_and_measured():
    circuit = every_gate()
    assert from_qiskit(to_qiskit(circuit, measured=True), observables=circuit.observables) == circuit


def test_qubit_order_is_kept_and_the_strings_are_reversed():
    circuit = Circuit.of(3, [gate("X", 0), gate("RY", 1, 0.6)], [PauliString.parse("ZXI")])
    built = to_qiskit(circuit)
    assert [row.qubits[0]._index for row in built.data] == [0, 1]
    (observable,) = observables_to_qiskit(circuit)
    assert observable == SparsePauliOp("IXZ")
    assert Statevector(built).expectation_value(observable) == pytest.approx(-math.sin(0.6), abs=1e-12)


@pytest.mark.parametrize("complex_amplitudes", [False, True])
def test_amplitudes_arrive_in_our_order(complex_amplitudes):
    random = np.random.default_rng(3)
    vector = random.normal(size=8) + 1j * random.normal(size=8) * complex_amplitudes
    vector = vector / np.linalg.norm(vector)
    circuit = Circuit.of(3, [], start=Start.AMPLITUDES)
    loaded = Statevector(to_qiskit(circuit, amplitudes=vector)).data
    for index in range(8):
        reversed_index = int(f"{index:03b}"[::-1], 2)
        ratio = loaded[reversed_index] / vector[index]
        assert ratio == pytest.approx(loaded[0] / vector[0], abs=1e-10)
    assert np.linalg.norm(loaded) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("start", "amplitudes"),
    [
        (Start.AMPLITUDES, None),
        (Start.AMPLITUDES, [1.0, 0.0]),
        (Start.AMPLITUDES, [1.0, 1.0, 0.0, 0.0]),
        (Start.AMPLITUDES, [0.0] * 4),
        (Start.AMPLITUDES, [math.nan] * 4),
        (Start.ZERO, [1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_amplitudes_are_never_dropped_or_invented(start, amplitudes):
    with pytest.raises(CircuitError, match="amplitudes"):
        to_qiskit(Circuit.of(2, [], start=start), amplitudes=amplitudes)


def test_names_decide_what_is_a_feature():
    x, y, theta = ParameterVector("x", 3), ParameterVector("y", 2), ParameterVector("theta", 2)
    other, late = Parameter("alpha"), Parameter("beta10")
    built = QuantumCircuit(2)
    built.ry(late, 0)
    built.rx(2 * x[2] * y[1], 0)
    built.rz(theta[1], 1)
    built.rz(-other / 4, 1)
    assert from_qiskit(built, features=("y", "x")).gates == (
        gate("RY", 0, Weight(0)),
        gate("RX", 0, feature(1, 4, scale=2.0)),
        gate("RZ", 1, Weight(2)),
        gate("RZ", 1, Weight(3, -0.25)),
    )
    only_x = QuantumCircuit(1)
    only_x.rx(x[1], 0)
    circuit = from_qiskit(only_x)
    assert (circuit.n_features, circuit.n_weights) == (3, 0)
    assert from_qiskit(only_x, features=()).n_weights == 3


@pytest.mark.parametrize("name", ["x1", "x_1", "x[1]", "x_1_"])
def test_single_parameters_with_an_index_are_features_too(name):
    built = QuantumCircuit(1)
    built.rx(Parameter(name), 0)
    built.ry(Parameter("x"), 0)
    with_bare = from_qiskit(built)
    assert [each.angles for each in with_bare.gates] == [(feature(1),), (feature(0),)]


def test_two_parameters_in_one_place_are_refused():
    built = QuantumCircuit(1)
    built.rx(Parameter("x1"), 0)
    built.rx(Parameter("x_1"), 0)
    with pytest.raises(CircuitError, match="one feature"):
        from_qiskit(built)


X = ParameterVector("x", 2)
W = ParameterVector("w", 2)


@pytest.mark.parametrize(
    ("expression", "angle"),
    [
        (X[1] * X[0] * X[0] * 0.3, feature(0, 0, 1, scale=0.3)),
        (X[0] ** 2, feature(0, 0)),
        (-(X[1]), feature(1, scale=-1.0)),
        (W[1] * math.pi, Weight(1, math.pi)),
        (W[0] / 3, Weight(0, 1 / 3)),
        (X[0] + X[0], feature(0, scale=2.0)),
    ],
)
def test_expressions_that_are_products(expression, angle):
    built = QuantumCircuit(1)
    built.rx(expression, 0)
    assert from_qiskit(built).gates[0].angles == (angle,)


@pytest.mark.parametrize(
    "expression",
    [
        X[0] + W[0] * W[1],
        X[0] * W[0],
        W[0] * W[1],
        W[0] ** 2,
        X[0].sin(),
        X[0].exp(),
        X[0].abs(),
        X[1] * (X[0] * X[1]).abs(),
        1 / X[0],
        X[0] / X[1],
        (2 * math.pi * X[0]).sin() + X[0],
        X[0] ** 0.5,
    ],
    ids=str,
)
def test_other_expressions_are_refused_by_name(expression):
    built = QuantumCircuit(1)
    built.rx(expression, 0)
    with pytest.raises(CircuitError, match="cannot be used"):
        from_qiskit(built)


def test_gates_outside_the_set_are_expanded_exactly():
    inner = QuantumCircuit(2, name="inner")
    inner.ry(0.4, 0)
    inner.cry(0.9, 1, 0)
    built = QuantumCircuit(QuantumRegister(2, "a"), QuantumRegister(1, "b"))
    built.h(0)
    built.ccx(0, 1, 2)
    built.append(inner.to_gate(), [2, 0])
    built.append(QFTGate(3), [1, 2, 0])
    built.append(CRYGate(0.3, ctrl_state=0), [2, 1])
    built.append(UnitaryGate(Operator(inner).data), [1, 2])
    built.cu(0.1, 0.2, 0.3, 0.4, 0, 2)
    built.iswap(0, 1)
    circuit = from_qiskit(built)
    assert Operator(to_qiskit(circuit)).equiv(Operator(built))


def test_a_gate_that_only_bears_one_of_our_names_is_expanded():
    impostor = QuantumCircuit(1, name="rx")
    impostor.z(0)
    built = QuantumCircuit(1)
    built.append(impostor.to_gate(), [0])
    assert from_qiskit(built).gates == (gate("Z", 0),)


def test_barriers_identities_and_final_measurements_are_left_out():
    built = QuantumCircuit(2, 2, global_phase=0.3)
    built.h(0)
    built.barrier()
    built.id(1)
    built.measure(0, 0)
    built.x(1)
    built.measure(1, 1)
    assert from_qiskit(built).gates == (gate("H", 0), gate("X", 1))


def no_measure(built):
    built.measure(0, 0)
    built.h(0)


def no_condition(built):
    with built.if_test((built.clbits[0], 1)):
        built.x(0)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_measure, "measured before the end"),
        (no_condition, "'if_else'"),
        (lambda built: built.reset(0), "'reset'"),
        (lambda built: built.append(OpaqueGate("mystery", 1, []), [0]), "'mystery'"),
        (lambda built: built.initialize([1, 0], 0), "'reset'"),
        (lambda built: built.delay(100, 0), "'delay'"),
    ],
)
def test_what_is_no_circuit_of_ours_is_refused_by_name(spoil, said):
    built = QuantumCircuit(1, 1)
    spoil(built)
    with pytest.raises(CircuitError, match=said) as caught:
        from_qiskit(built)
    assert "\n" not in str(caught.value)


def test_prepared_amplitudes_come_back_as_gates():
    circuit = Circuit.of(2, [gate("RX", 0, Weight(0))], start=Start.AMPLITUDES)
    vector = np.array([0.1, 0.5, -0.5, 0.7]) / np.linalg.norm([0.1, 0.5, -0.5, 0.7])
    built = to_qiskit(circuit, amplitudes=vector)
    back = from_qiskit(built)
    assert back.start is Start.ZERO
    assert Statevector(to_qiskit(back).assign_parameters([0.4])).equiv(
        Statevector(built.assign_parameters([0.4]))
    )


@settings(max_examples=30, deadline=None)
@given(cases(circuits(max_qubits=4, max_gates=8), batch=1))
def test_a_circuit_wrapped_in_one_gate_is_unwrapped(case):
    amplitudes = None if case.amplitudes is None else case.amplitudes[0]
    built = to_qiskit(case.circuit, amplitudes=amplitudes)
    wrapped = QuantumCircuit(built.num_qubits)
    wrapped.append(built.to_gate(), range(built.num_qubits))
    back = from_qiskit(wrapped)
    assert back.gates[-len(case.circuit.gates) :] == case.circuit.gates
