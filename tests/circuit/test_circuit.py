from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import circuits, every_gate

from hybridqies.backends import load_backend
from hybridqies.circuit import (
    GATES,
    Circuit,
    Constant,
    Feature,
    Gate,
    PauliString,
    Start,
    Sum,
    Weight,
    add,
    draw_text,
    evaluate,
    feature,
    gate,
    gate_type,
)
from hybridqies.errors import CircuitError, UnknownNameError
from hybridqies.testing import dense
from hybridqies.testing.cases import case_of


def test_counts_are_read_off_the_gates():
    circuit = Circuit.of(
        3, [gate("RX", 0, feature(4)), gate("RZZ", (0, 2), Weight(2)), gate("RY", 1, Weight(2))]
    )
    assert (circuit.n_features, circuit.n_weights) == (5, 3)
    assert [str(each) for each in circuit.observables] == ["Z0", "Z1", "Z2"]
    assert circuit.two_qubit_gates() == 1
    assert circuit.longest_distance() == 2
    assert Circuit.of(2, [gate("H", 0)]).longest_distance() == 0
    assert (circuit.n_amplitudes, circuit.n_inputs) == (0, 5)
    started = dataclasses.replace(circuit, start=Start.AMPLITUDES)
    assert (started.n_amplitudes, started.n_inputs) == (8, 13)


def test_depth_counts_what_has_to_wait():
    assert Circuit.of(2, []).depth() == 0
    assert Circuit.of(3, [gate("H", 0), gate("H", 1), gate("H", 2)]).depth() == 1
    assert Circuit.of(3, [gate("CNOT", (0, 1)), gate("CNOT", (1, 2)), gate("X", 0)]).depth() == 2


def test_gate_names_ignore_case():
    assert gate_type("rot") is gate_type("Rot") is GATES["ROT"]


def test_an_unknown_gate_offers_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        gate("CNOTT", (0, 1))
    assert caught.value.nearest == "CNOT"


def test_numbers_among_angles_are_constants():
    assert gate("U", 0, 1, 0.5, Weight(0)).angles == (Constant(1.0), Constant(0.5), Weight(0))


@pytest.mark.parametrize(
    "given",
    ["0.3", torch.tensor(0.3), torch.tensor(0.3, requires_grad=True), None, True, 1j, np.zeros(1), [0.3]],
)
def test_what_is_no_number_is_no_angle(given):
    for make in (
        lambda: gate("RX", 0, given),
        lambda: Constant(given),
        lambda: Weight(0, given),
        lambda: feature(0, scale=given),
    ):
        with pytest.raises(CircuitError, match="expected a number"):
            make()


@pytest.mark.parametrize("given", ["0", 0.0, torch.tensor(0), None, True])
def test_what_is_no_whole_number_is_no_index(given):
    for make in (lambda: Weight(given), lambda: feature(given), lambda: gate("X", [given])):
        with pytest.raises(CircuitError, match="expected a whole number"):
            make()


def test_numpy_numbers_and_lists_are_kept_as_plain_ones():
    observable = PauliString([(np.int64(0), "Z")])  # type: ignore[arg-type]
    placed = Gate(gate_type("CRX"), [np.int64(1), np.int8(0)], [np.float32(0.5)])  # type: ignore[arg-type]
    counts = (np.int64(2), [placed], [observable], np.int8(3), np.uint16(4))
    circuit = Circuit(*counts)  # type: ignore[arg-type]
    plain = Circuit(2, (gate("CRX", (1, 0), 0.5),), (PauliString.on("Z", 0),), 3, 4)
    assert (circuit, hash(circuit)) == (plain, hash(plain))
    assert json.loads(json.dumps(circuit.to_mapping())) == plain.to_mapping()
    (factor,) = PauliString.on("X", np.int64(1)).factors  # type: ignore[arg-type]
    assert factor == (1, "X")
    assert type(factor[0]) is int


@pytest.mark.parametrize("letter", ["", "XY", "x", "I", 3, None])
def test_a_factor_is_one_pauli_letter(letter):
    with pytest.raises(CircuitError, match="Pauli string"):
        PauliString(((0, letter),))


def test_sums_are_joined_and_ordered():
    assert add(0.5, Weight(1), feature(0), feature(1, 0), 0.5) == Sum(
        (feature(0, 1), feature(0), Weight(1), Constant(1.0))
    )
    assert add(feature(0), feature(0, scale=-1.0)) == Constant(0.0)
    assert add(feature(0), feature(0)) == feature(0, scale=2.0)
    assert add(Weight(2)) == Weight(2)
    for terms in ((), (Weight(0),), (Constant(1.0), Constant(2.0)), (Weight(0), 0.5)):
        with pytest.raises(CircuitError, match="two or more"):
            Sum(terms)  # type: ignore[arg-type]


def test_an_angle_is_evaluated_from_anything_that_multiplies():
    angle = add(feature(0, 1, scale=2.0), Weight(0, -1.0), 0.25)
    assert evaluate(angle, [3.0, 5.0].__getitem__, [7.0].__getitem__) == 2 * 15 - 7 + 0.25
    columns = evaluate(angle, np.array([[3.0, 1.0], [5.0, 1.0]]).__getitem__, [7.0].__getitem__)
    np.testing.assert_array_equal(columns, [23.25, -4.75])
    assert evaluate(Constant(0.5), None, None) == 0.5


@pytest.mark.parametrize("backend", ["statevector", "pennylane:default.qubit,gradient=shift"])
def test_a_sum_is_simulated_and_differentiated(backend):
    angle = add(feature(0, 1, scale=0.5), Weight(0, -1.3), feature(1), 0.4)
    circuit = Circuit.of(
        2, [gate("RY", 0, 0.3), gate("U", 0, angle, Weight(1), 0.2), gate("CRX", (0, 1), angle)]
    )
    ours, theirs = (case_of(circuit).leaves() for _ in range(2))
    values = load_backend(backend).expectations(circuit, *ours.inputs)
    expected = dense.expectations(circuit, *theirs.inputs)
    np.testing.assert_allclose(values.detach(), expected.detach(), atol=1e-12)
    values.square().sum().backward()
    expected.square().sum().backward()
    np.testing.assert_allclose(ours.features.grad, theirs.features.grad, atol=1e-11)
    np.testing.assert_allclose(ours.weights.grad, theirs.weights.grad, atol=1e-11)


def test_a_sum_is_drawn_and_survives_json():
    circuit = Circuit.of(1, [gate("RX", 0, add(feature(0), Weight(0, -2.0), math.pi))])
    assert "RX(x0-2·w0+π)" in draw_text(circuit)
    assert Circuit.from_mapping(json.loads(json.dumps(circuit.to_mapping()))) == circuit


def test_a_circuits_repr_is_short():
    assert repr(Circuit.of(2, [gate("RX", 0, Weight(0))] * 500, name="many")) == (
        "Circuit('many': 2 qubits, 500 gates, 0 features, 1 weights, 2 observables)"
    )


def test_the_order_of_a_product_means_nothing():
    assert feature(3, 1, 3) == feature(3, 3, 1) == Feature((1, 3, 3))


@pytest.mark.parametrize("kind", GATES.values(), ids=GATES)
def test_the_inverse_of_the_inverse_is_the_gate(kind):
    if kind.inverse is not None:
        assert GATES[kind.inverse].inverse == kind.name
    assert (kind.inverse is None) == bool(kind.angles)


@pytest.mark.parametrize(
    "make",
    [
        lambda: gate("H", (0, 1)),
        lambda: gate("CNOT", 0),
        lambda: gate("CNOT", (1, 1)),
        lambda: gate("RX", 0),
        lambda: gate("RX", 0, 1.0, 2.0),
        lambda: gate("X", 0, 1.0),
        lambda: Circuit.of(0, []),
        lambda: Circuit.of(-1, []),
        lambda: Circuit.of(2, [], []),
        lambda: Circuit.of(2, [gate("H", 2)]),
        lambda: Circuit.of(2, [gate("H", -1)]),
        lambda: Circuit.of(2, [], [PauliString.on("Z", 2)]),
        lambda: Circuit.of(1, [gate("RX", 0, math.nan)]),
        lambda: Circuit.of(1, [gate("RX", 0, Weight(0, math.inf))]),
        lambda: Circuit.of(1, [gate("RX", 0, feature(0, scale=math.nan))]),
        lambda: Circuit.of(1, [gate("RX", 0, feature())]),
        lambda: Circuit.of(1, [gate("RX", 0, Weight(-1))]),
        lambda: Circuit.of(1, [gate("RX", 0, feature(-1))]),
        lambda: Circuit(1, (gate("RX", 0, Weight(1)),), (PauliString.on("Z", 0),), 0, 1),
        lambda: Circuit(1, (gate("RX", 0, feature(0)),), (PauliString.on("Z", 0),), 0, 1),
        lambda: Circuit(1, (), (PauliString.on("Z", 0),), -1, 0),
        lambda: Circuit(1, (), (PauliString.on("Z", 0),), 0, -1),
        lambda: Gate(gate_type("H"), 0),  # type: ignore[arg-type]
        lambda: Gate(gate_type("RX"), (0,), ("x",)),  # type: ignore[arg-type]
        lambda: PauliString.parse(3),  # type: ignore[arg-type]
        lambda: PauliString.on("Z", 0.5),  # type: ignore[arg-type]
        lambda: PauliString(((1, "Z"), (0, "Z"))),
        lambda: PauliString(((0, "Z"), (0, "X"))),
        lambda: PauliString(((0, "I"),)),
        lambda: PauliString.parse(""),
        lambda: PauliString.parse("ZQ"),
    ],
)
def test_what_is_not_well_formed_is_refused_in_one_line(make):
    with pytest.raises(CircuitError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_pauli_strings():
    string = PauliString.parse("zIX")
    assert string.factors == ((0, "Z"), (2, "X"))
    assert string.letters(4) == "ZIXI"
    assert str(string) == "Z0X2"
    assert PauliString.on("Y", 3, 1) == PauliString(((1, "Y"), (3, "Y")))
    assert str(PauliString.parse("II")) == "I"


def test_a_circuit_is_real_when_all_its_gates_are():
    assert Circuit.of(2, [gate("RY", 0, 1.0), gate("CNOT", (0, 1)), gate("CRY", (1, 0), 0.1)]).is_real
    assert not Circuit.of(1, [gate("RY", 0, 1.0), gate("S", 0)]).is_real


@settings(max_examples=50, deadline=None)
@given(circuits())
def test_mapping_and_digest_survive_json(circuit):
    back = Circuit.from_mapping(json.loads(json.dumps(circuit.to_mapping())))
    assert back == circuit
    assert back.digest() == circuit.digest()
    assert hash(back) == hash(circuit)


def test_digest_sees_everything_but_the_name():
    circuit = every_gate()
    assert dataclasses.replace(circuit, name="other").digest() == circuit.digest()
    changed = (
        {"observables": circuit.observables[:2]},
        {"gates": circuit.gates[:-1]},
        {"gates": (*circuit.gates[:-1], Gate(GATES["RZZ"], (1, 2), (Weight(0, -1.4),)))},
        {"n_features": circuit.n_features + 1},
        {"n_weights": circuit.n_weights + 1},
        {"n_qubits": circuit.n_qubits + 1},
        {"start": Start.AMPLITUDES},
    )
    digests = {dataclasses.replace(circuit, **change).digest() for change in changed} | {circuit.digest()}
    assert len(digests) == len(changed) + 1


def test_equal_circuits_have_equal_digests():
    whole = Circuit.of(1, [gate("RX", 0, Weight(0, 2))])
    assert whole == Circuit.of(1, [gate("RX", 0, Weight(0, 2.0))])
    assert whole.digest() == Circuit.of(1, [gate("RX", 0, Weight(0, 2.0))]).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"gates": [["H", [0]]]},
        {"gates": [["NOPE", [0], []]]},
        {"gates": [[3, [0], []]]},
        {"gates": [["RX", [0], [["angle", 1]]]]},
        {"gates": [["RX", [0], [["weight", "0", 1.0]]]]},
        {"gates": [["RX", [7], [["constant", 1.0]]]]},
        {"gates": 3},
        {"start": "nowhere"},
        {"n_qubits": "many"},
        {"n_qubits": "3"},
        {"n_qubits": 3.5},
        {"n_features": math.inf},
        {"n_weights": -1},
        {"observables": [["Z"]]},
    ],
)
def test_a_damaged_mapping_is_refused_in_one_line(change):
    with pytest.raises(CircuitError) as caught:
        Circuit.from_mapping(every_gate().to_mapping() | change)
    assert "\n" not in str(caught.value)


def test_a_mapping_that_lacks_a_key_is_refused():
    stored = every_gate().to_mapping()
    del stored["observables"]
    with pytest.raises(CircuitError, match="observables"):
        Circuit.from_mapping(stored)


def test_importing_circuits_loads_nothing_heavy():
    code = (
        "import sys, hybridqies.circuit;"
        "heavy = {'qiskit', 'pennylane', 'matplotlib', 'numpy', 'torch', 'openqasm3'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
