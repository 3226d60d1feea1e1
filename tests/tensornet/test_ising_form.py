"""Circuits in Ising form are the same circuits, and rounds apply them in an order that changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tensornet.circuits_on_graphs import RING, inputs, random_circuit

from hybridqies.circuit import (
    GATES,
    Circuit,
    Constant,
    Gate,
    PauliString,
    Weight,
    add,
    evaluate,
    feature,
    gate,
    load_circuit,
)
from hybridqies.tensornet.gate_tables import AngleTable, TurnTable, ising_phases
from hybridqies.tensornet.ising_form import drop_unread, to_ising_form
from hybridqies.tensornet.schedule import schedule
from hybridqies.testing import dense
from hybridqies.testing.cases import gate_case


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_in_ising_form_is_the_gate(name):
    case = gate_case(name)
    form = to_ising_form(case.circuit)
    assert {each.type.name for each in form.gates if len(each.qubits) == 2} == {"RZZ"}
    close(dense.expectations(form, *case.inputs), dense.expectations(case.circuit, *case.inputs))


@pytest.mark.parametrize("name", sorted(name for name, kind in GATES.items() if kind.n_qubits == 1))
def test_matrices_are_those_of_the_gates_up_to_a_phase(name):
    angles = [0.3, -1.1, 2.0][: len(GATES[name].angles)]
    none = torch.zeros(1, 0, dtype=torch.float64)
    ours = TurnTable.of([[gate(name, 0, *angles)]], 0, 0).evaluate(none, none)[0, 0]
    theirs = torch.tensor(GATES[name].matrix(*angles), dtype=torch.complex128)
    overlap = (theirs.conj() * ours).sum()
    assert abs(abs(overlap) - 2) < 1e-13
    close(ours, theirs * overlap / overlap.abs())


def test_phases_are_those_of_rzz():
    table = ising_phases(torch.tensor(0.7, dtype=torch.float64))
    close(torch.diag(table.flatten()), torch.tensor(GATES["RZZ"].matrix(0.7), dtype=torch.complex128))


@pytest.mark.parametrize("seed", range(6))
def test_gates_that_change_nothing_are_dropped(seed):
    circuit = random_circuit(4, RING, 20, seed)
    for observables in (circuit.observables, circuit.observables[:1]):
        form = to_ising_form(replace(circuit, observables=observables))
        left = drop_unread(form)
        close(dense.expectations(left, *inputs(seed)), dense.expectations(form, *inputs(seed)))
    assert not drop_unread(replace(to_ising_form(circuit), observables=(PauliString(()),))).gates


def test_the_last_layer_of_the_kicked_ising_model_is_dropped():
    circuit = load_circuit("kicked-ising", 9, lattice="square:3x3", steps=3)
    assert drop_unread(circuit).two_qubit_gates() == 2 * 12
    read = replace(circuit, observables=(PauliString.on("X", 4),))
    # The four edges of the middle, then all.
    assert drop_unread(read).two_qubit_gates() == 4 + 12 + 12


@pytest.mark.parametrize("seed", range(6))
def test_rounds_are_the_circuit(seed):
    circuit = to_ising_form(random_circuit(4, RING, 30, seed))
    rounds = schedule(circuit)
    gates = []
    for each in rounds:
        for turned in each.turns.values():
            gates += turned
        sites = [site for pair in each.bonds for site in pair]
        assert len(sites) == len(set(sites))
        gates += [Gate(GATES["RZZ"], pair, (angle,)) for pair, angle in each.bonds.items()]
    again = replace(circuit, gates=tuple(gates))
    close(dense.expectations(again, *inputs(seed)), dense.expectations(circuit, *inputs(seed)))


def test_commuting_gates_share_rounds():
    # A chain in the order of its qubits takes two rounds, and gates on one pair are one.
    chain = Circuit.of(6, [gate("RZZ", (at, at + 1), 0.3) for at in range(5)])
    assert [len(each.bonds) for each in schedule(chain)] == [3, 2]
    twice = Circuit.of(2, 2 * [Gate(GATES["CZ"], (0, 1))])
    (bonds, turns) = schedule(to_ising_form(twice))
    assert (list(bonds.bonds), list(turns.turns), turns.bonds) == ([(0, 1)], [0, 1], {})


def test_tables_have_every_angle_and_every_sequence_in_its_place():
    angles = [add(Weight(0, 0.5), feature(0, 1, 1, scale=2.0), 0.3), feature(1), Constant(-1.0), Weight(0)]
    features, weights = inputs(4)
    ours = AngleTable.of(angles, 2, 3).evaluate(features, weights)
    theirs = [evaluate(each, lambda i: features[:, i], lambda i: weights[:, i]) for each in angles]
    close(ours, torch.stack([torch.as_tensor(each).expand(2).double() for each in theirs]))
    sequences = [
        [gate("RX", 0, angles[0]), gate("S", 0)],
        [gate("ROT", 0, *angles[1:])],
        [gate("RX", 0, angles[3]), gate("S", 0)],
    ]
    found = TurnTable.of(sequences, 2, 3).evaluate(features, weights)
    for at, sequence in enumerate(sequences):
        close(found[at], TurnTable.of([sequence], 2, 3).evaluate(features, weights)[0])
    product = TurnTable.of([sequences[0][1:]], 2, 3).evaluate(features, weights)[0]
    product = product @ TurnTable.of([sequences[0][:1]], 2, 3).evaluate(features, weights)[0]
    close(found[0], product)
