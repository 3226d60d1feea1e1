from __future__ import annotations

import importlib.util
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Operator, Statevector
from strategies import cases, circuits, every_gate

from hybridqies.circuit import (
    Circuit,
    Feature,
    PauliString,
    Start,
    Weight,
    add,
    feature,
    from_openqasm3,
    gate,
    load_circuit,
    to_openqasm3,
    to_qiskit,
)
from hybridqies.errors import CircuitError, MissingExtraError, UnknownNameError

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


@pytest.mark.parametrize("indices", [(0,), (0, 0), (0, 0, 0), (0, 1, 1), (0, 0, 0, 1, 1)])
@pytest.mark.parametrize("scale", [0.1, -0.7, math.pi])
def test_numbers_of_products_come_back_exactly(indices, scale):
    circuit = Circuit.of(1, [gate("RX", 0, Feature(indices, scale))])
    assert from_openqasm3(to_openqasm3(circuit)) == circuit


@settings(max_examples=40, deadline=None)
@given(circuits(starts=(Start.ZERO,)))
def test_there_and_back_gives_the_same_circuit(circuit):
    assert from_openqasm3(to_openqasm3(circuit)) == circuit


def test_there_and_back_with_every_gate_and_an_odd_name():
    circuit = Circuit.of(3, every_gate().gates, every_gate().observables, name='a "name"\nof π')
    assert from_openqasm3(to_openqasm3(circuit)) == circuit


def test_unused_features_and_weights_survive():
    circuit = Circuit(2, (gate("RX", 0, Weight(3)),), (PauliString.parse("IX"),), n_features=4, n_weights=6)
    assert from_openqasm3(to_openqasm3(circuit)) == circuit


@settings(max_examples=25, deadline=None)
@given(cases(circuits(max_qubits=3, max_gates=8, starts=(Start.ZERO,)), batch=1))
def test_qiskits_own_loader_reads_the_same_unitary(case):
    loaded = qasm3.loads(to_openqasm3(case.circuit))
    ours = to_qiskit(case.circuit)
    values = {f"x{i}": value for i, value in enumerate(case.features[0])}
    values |= {f"w{i}": value for i, value in enumerate(case.weights)}
    named = {each: values[f"{each.vector.name}{each.index}"] for each in ours.parameters}
    theirs = loaded.assign_parameters({each: values[each.name] for each in loaded.parameters})
    assert Operator(theirs).equiv(Operator(ours.assign_parameters(named)))


def test_the_text_of_a_small_program():
    circuit = Circuit.of(
        2,
        [
            gate("RY", 0, feature(0)),
            gate("RZZ", (0, 1), feature(0, 1, scale=2.0)),
            gate("CRX", (1, 0), Weight(0)),
        ],
    )
    assert to_openqasm3(circuit) == (
        HEAD
        + '// hybridqies: {"name": "circuit", "n_features": 2, "n_weights": 1, "observables": ["ZI", "IZ"]}\n'
        + "gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }\n"
        + "input float[64] x0;\ninput float[64] x1;\ninput float[64] w0;\nqubit[2] q;\n"
        + "ry(x0) q[0];\nrzz(2.0*x0*x1) q[0], q[1];\ncrx(w0) q[1], q[0];\n"
    )


def test_observables_given_win_over_the_files():
    text = to_openqasm3(load_circuit("product", 2))
    assert from_openqasm3(text, observables=[PauliString.parse("XY")]).observables == (
        PauliString.parse("XY"),
    )


def test_amplitudes_are_prepared_by_gates():
    circuit = load_circuit("long-range-encoder", 3, layers=1)
    random = np.random.default_rng(0)
    vector = random.normal(size=8)
    vector /= np.linalg.norm(vector)
    back = from_openqasm3(to_openqasm3(circuit, amplitudes=vector))
    assert back.start is Start.ZERO
    assert back.gates[-len(circuit.gates) :] == circuit.gates
    weights = random.normal(size=circuit.n_weights)
    states = [
        Statevector(built.assign_parameters({each: weights[each.index] for each in built.parameters}))
        for built in (to_qiskit(back), to_qiskit(circuit, amplitudes=vector))
    ]
    assert states[0].equiv(states[1])


def test_amplitudes_are_never_dropped():
    with pytest.raises(CircuitError, match="amplitudes"):
        to_openqasm3(load_circuit("long-range-encoder", 3))


def test_a_foreign_program():
    text = HEAD + (
        "input float[64] x1;\ninput float[64] theta;\nqubit[3] q;\nbit[3] c;\n"
        "rx(2*x1) q[0];\nry(theta/2) q[1];\nctrl @ x q[0], q[2];\ninv @ s q[1];\n"
        "p(pi/4) q[2];\nc = measure q;\n"
    )
    assert from_openqasm3(text) == Circuit.of(
        3,
        [
            gate("RX", 0, feature(1, scale=2.0)),
            gate("RY", 1, Weight(0, 0.5)),
            gate("CNOT", (0, 2)),
            gate("SDG", 1),
            gate("P", 2, math.pi / 4),
        ],
        name="openqasm3",
    )
    assert from_openqasm3(text, features=("theta",)).gates[1] == gate("RY", 1, feature(0, scale=0.5))


def test_angles_of_a_defined_gate_keep_their_order():
    text = (
        HEAD
        + "gate g(zeta, alpha) a, b { rx(zeta) a; ry(2*alpha) b; }\nqubit[2] q;\ng(0.1, 0.2) q[1], q[0];\n"
    )
    assert from_openqasm3(text).gates == (gate("RX", 1, 0.1), gate("RY", 0, 0.4))


def test_a_gate_that_only_bears_one_of_our_names_is_expanded():
    text = HEAD + "gate rxx(theta) a, b { rx(theta) a; rx(theta) b; }\nqubit[2] q;\nrxx(0.3) q[0], q[1];\n"
    assert from_openqasm3(text).gates == (gate("RX", 0, 0.3), gate("RX", 1, 0.3))


def test_qiskits_own_writer_is_read():
    built = QuantumCircuit(3)
    built.h(0)
    built.rxx(0.3, 0, 2)
    built.ccx(0, 1, 2)
    built.sxdg(1)
    circuit = from_openqasm3(qasm3.dumps(built))
    assert Operator(to_qiskit(circuit)).equiv(Operator(built))


def test_qiskits_vectors_are_features_and_weights():
    x, theta = ParameterVector("x", 2), ParameterVector("theta", 2)
    built = QuantumCircuit(2)
    built.ry(theta[1], 0)
    built.ry(2 * x[1], 1)
    built.rz(x[0], 0)
    text = qasm3.dumps(built)
    assert "_x_0_" in text
    expected = (gate("RY", 0, Weight(0)), gate("RY", 1, feature(1, scale=2.0)), gate("RZ", 0, feature(0)))
    assert from_openqasm3(text).gates == from_openqasm3(text, features=("x",)).gates == expected
    assert from_openqasm3(text, features=("theta",)).gates[0] == gate("RY", 0, feature(1))
    with pytest.raises(UnknownNameError, match="'nosuch'"):
        from_openqasm3(text, features=("nosuch",))


def test_affine_angles_are_read_and_written():
    text = HEAD + (
        "input float[64] x0;\ninput float[64] x1;\ninput float[64] theta;\nqubit[2] q;\n"
        "p(2*(x0 - pi)*(x1 - pi)) q[0];\nrx(theta + 1.5) q[1];\nry(pi - x1) q[1];\n"
    )
    circuit = from_openqasm3(text)
    two = 2 * math.pi
    assert circuit.gates == (
        gate(
            "P",
            0,
            add(
                feature(0, 1, scale=2.0),
                feature(0, scale=-two),
                feature(1, scale=-two),
                two * math.pi,
            ),
        ),
        gate("RX", 1, add(Weight(0), 1.5)),
        gate("RY", 1, add(feature(1, scale=-1.0), math.pi)),
    )
    assert from_openqasm3(to_openqasm3(circuit)) == circuit
    assert "rx(w0 + 1.5) q[1];" in to_openqasm3(circuit)


def test_numbers_of_numpys_are_numbers():
    circuit = Circuit.of(
        np.int64(1),  # type: ignore[arg-type]
        [
            gate("RY", np.int64(0), feature(np.int32(0), scale=np.sqrt(2))),  # type: ignore[arg-type]
            gate("RX", [np.int8(0)], Weight(np.int64(0), np.float64(0.5))),  # type: ignore[arg-type,list-item]
            gate("RZ", 0, np.float32(0.25)),  # type: ignore[arg-type]
        ],
    )
    text = to_openqasm3(circuit)
    assert "np." not in text + repr(circuit.gates)
    assert from_openqasm3(text) == circuit
    assert json.loads(json.dumps(circuit.to_mapping()))["n_qubits"] == 1


@pytest.mark.parametrize("name", ["a\u2028b", "a\x85b", "a\rb", "a\x0bb", "a\x1cb", "a\ud800b", "π"])
def test_any_name_comes_back(name):
    circuit = Circuit.of(1, [gate("RY", 0, Weight(0))], name=name)
    text = to_openqasm3(circuit)
    assert text.encode()
    assert len(text.splitlines()) == text.count("\n")
    assert from_openqasm3(text) == circuit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "nonsense"),
        ("OPENQASM 3.0; qubit[2", "breaks off"),
        (HEAD + "qubit q;\nfoo q;", "'foo'"),
        (HEAD + "qubit q;\nreset q;", "'reset'"),
        (HEAD + "qubit q;\nbit c;\nc = measure q;\nh q;", "measured before the end"),
        (HEAD + "qubit q;\ninput float x0;\ninput float w0;\nrx(x0 * w0) q;", "cannot be used"),
        (HEAD + "qubit q;\ninput float x0;\nrx(sin(x0)) q;", "cannot be read"),
        (HEAD + "// hybridqies: {}\nqubit q;\nh q;", "'observables'|'name'"),
        (HEAD + "// hybridqies: {oops\nqubit q;\nh q;", "cannot be read"),
    ],
)
def test_bad_programs_are_refused_in_one_line(text, said, capfd):
    with pytest.raises(CircuitError, match=said) as caught:
        from_openqasm3(text)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_edited_program_of_ours_is_refused():
    text = to_openqasm3(load_circuit("product", 2))
    with pytest.raises(CircuitError, match="'v0'"):
        from_openqasm3(text.replace("w0", "v0"))
    with pytest.raises(CircuitError, match="takes weight"):
        from_openqasm3(text.replace('"n_weights": 12', '"n_weights": 3'))


def test_a_missing_importer_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"hybridqies\[qasm\]"):
        from_openqasm3(HEAD)
