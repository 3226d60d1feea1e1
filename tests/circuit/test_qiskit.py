from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate as OpaqueGate
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import CRYGate, QFTGate, RXGate, UnitaryGate, zz_feature_map
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector
from strategies import cases, circuits, every_gate

from hybridqies.backends import load_backend
from hybridqies.circuit import (
    Circuit,
    Constant,
    PauliString,
    Start,
    Sum,
    Weight,
    add,
    feature,
    from_qiskit,
    gate,
    observables_to_qiskit,
    to_qiskit,
)
from hybridqies.errors import CircuitError, UnknownNameError

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


@pytest.mark.parametrize("name", ["x1", "x_1", "x[1]", "x_1_", "_x_1_"])
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
        (X[0] + 1, Sum((feature(0), Constant(1.0)))),
        (X[1] - X[0], Sum((feature(0, scale=-1.0), feature(1)))),
        (math.pi - W[1] / 2, Sum((Weight(1, -0.5), Constant(math.pi)))),
        (X[0] + W[0] - X[0], Weight(0)),
        (
            (X[0] - math.pi) * (X[1] - math.pi),
            Sum(
                (feature(0, 1), feature(0, scale=-math.pi), feature(1, scale=-math.pi), Constant(math.pi**2))
            ),
        ),
        ((X[0] + 1) ** 2, Sum((feature(0, 0), feature(0, scale=2.0), Constant(1.0)))),
        (2 * X[0] + X[1] * X[1] + W[0], Sum((feature(1, 1), feature(0, scale=2.0), Weight(0)))),
        (X[0] - X[0], Constant(0.0)),
    ],
    ids=str,
)
def test_expressions_that_are_sums_of_products(expression, angle):
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


def test_qiskits_feature_map_is_read_and_means_the_same():
    built = zz_feature_map(3, reps=2, entanglement="full")
    circuit = from_qiskit(built)
    values = np.random.default_rng(2).uniform(-3, 3, 3)
    assert circuit.n_features == 3
    assert circuit.n_weights == 0
    assert sum(isinstance(angle, Sum) for each in circuit.gates for angle in each.angles) == 6
    ours, theirs = (
        Operator(each.assign_parameters(dict(zip(_sorted(each), values, strict=True))))
        for each in (to_qiskit(circuit), built)
    )
    assert ours.equiv(theirs)
    features = torch.from_numpy(values)[None]
    expected = [
        Statevector(built.assign_parameters(dict(zip(_sorted(built), values, strict=True))))
        .expectation_value(each)
        .real
        for each in observables_to_qiskit(circuit)
    ]
    for name in ("statevector", "pennylane:default.qubit"):
        found = load_backend(name).expectations(circuit, features, torch.zeros(0, dtype=torch.float64))
        np.testing.assert_allclose(found[0], expected, atol=1e-12)


def _sorted(built):
    return sorted(built.parameters, key=lambda each: each.index)


@pytest.mark.parametrize("name", ["nosuch", "", "x0"])
def test_a_feature_that_is_not_there_is_refused(name):
    built = QuantumCircuit(1)
    built.rx(X[0] + W[0], 0)
    with pytest.raises(UnknownNameError, match="feature parameter"):
        from_qiskit(built, features=("x", name))
    assert from_qiskit(built, features="w").n_features == 2
    assert from_qiskit(QuantumCircuit(1)).n_features == 0


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


def named(name, n_qubits=1):
    impostor = QuantumCircuit(n_qubits, name=name)
    impostor.z(0)
    return impostor.to_gate()


@pytest.mark.parametrize("name", ["id", "barrier", "global_phase", "measure", "reset", "x", "cx", "rot"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_gate_is_judged_by_its_definition_and_not_by_its_name(name, inside):
    built = QuantumCircuit(2)
    if inside:
        outer = QuantumCircuit(2, name="outer")
        outer.append(named(name, 2), [1, 0])
        built.append(outer.to_gate(), [0, 1])
    else:
        built.append(named(name, 2), [1, 0])
    built.h(1)
    assert from_qiskit(built).gates == (gate("Z", 1), gate("H", 1))


def test_a_gate_of_qiskits_under_another_name_is_still_that_gate():
    renamed = RXGate(0.3).to_mutable()
    renamed.name = "id"
    built = QuantumCircuit(1)
    built.append(renamed, [0])
    built.append(RXGate(0.4, label="id"), [0])
    assert from_qiskit(built).gates == (gate("RX", 0, 0.3), gate("RX", 0, 0.4))


def test_a_gate_that_agrees_with_ours_at_some_angles_only_is_expanded():
    angle = Parameter("w")
    inner = QuantumCircuit(1, name="rot")
    inner.rz(angle, 0)
    inner.ry(0.3 * angle, 0)
    inner.rz(angle, 0)
    built = QuantumCircuit(1)
    built.append(inner.to_gate(), [0])
    assert [each.type.name for each in from_qiskit(built).gates] == ["RZ", "RY", "RZ"]


def test_definitions_that_double_are_refused():
    inner = QuantumCircuit(1, name="g0")
    inner.h(0)
    for level in range(1, 40):
        outer = QuantumCircuit(1, name=f"g{level}")
        outer.append(inner.to_instruction(), [0])
        outer.append(inner.to_instruction(), [0])
        inner = outer
        if level == 3:
            assert len(from_qiskit(outer).gates) == 8
        if level == 6:
            break
    from hybridqies.circuit import qiskit_gates

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qiskit_gates, "MAX_EXPANDED", 100)
        with pytest.raises(CircuitError, match="at most 100"):
            from_qiskit(inner)


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


@pytest.mark.parametrize("large", [1e9, -1e10])
def test_a_parameter_beside_a_large_number_is_kept(large):
    x = ParameterVector("x", 2)
    built = QuantumCircuit(1)
    built.rx(x[0] + 2 * x[1] + large, 0)
    assert from_qiskit(built).gates[0].angles == (add(feature(0), feature(1, scale=2.0), large),)


@pytest.mark.parametrize("small", [1e-14, -3e-13])
def test_a_small_number_is_kept(small):
    x = ParameterVector("x", 2)
    built = QuantumCircuit(1)
    built.rx(small * x[0] * x[1], 0)
    assert from_qiskit(built).gates[0].angles == (feature(0, 1, scale=small),)
