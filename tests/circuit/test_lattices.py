"""Lattices: their sites, edges and rounds, and recipes on them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridqies.circuit import load_circuit, load_lattice
from hybridqies.circuit.colouring import split_into_rounds
from hybridqies.errors import CircuitError, InputError

NAMES = [
    *("heavy-hex:127", "heavy-hex:433", "heavy-hex:1121", "heavy-hex:infinite"),
    *("square:1x1", "square:3x5", "square:4x4", "chain:1", "chain:6", "ring:3", "ring:8"),
]
# Sites, edges, and the largest number of neighbours.
SHAPES = [(127, 144, 3), (433, 504, 3), (1121, 1320, 3), (5, 6, 3), (1, 0, 0), (15, 22, 4), (16, 24, 4)]
SHAPES += [(1, 0, 0), (6, 5, 2), (3, 3, 2), (8, 8, 2)]


@pytest.mark.parametrize(("name", "shape"), list(zip(NAMES, SHAPES, strict=True)))
def test_sites_edges_and_rounds(name, shape):
    lattice = load_lattice(name)
    degrees = Counter(site for edge in lattice.edges for site in edge)
    assert (lattice.n_sites, len(lattice.edges), max(degrees.values(), default=0)) == shape
    assert len(set(lattice.edges)) == len(lattice.edges)
    assert all(0 <= first < second < lattice.n_sites for first, second in lattice.edges)
    for each in lattice.rounds:
        assert len({site for edge in each for site in edge}) == 2 * len(each)
    assert len(set(lattice.places)) == lattice.n_sites
    # A circle of three needs one round more than a site has neighbours.
    assert len(lattice.rounds) == shape[2] + (name == "ring:3")
    assert lattice.infinite == name.endswith("infinite")


def test_heavy_hex_is_numbered_as_ibm_numbers_it():
    # Couplings of ibm_washington around its first connectors and at its last sites.
    edges = set(load_lattice("heavy-hex:127").edges)
    assert {(0, 14), (14, 18), (4, 15), (15, 22), (12, 17), (17, 30), (20, 33), (33, 39)} <= edges
    assert {(94, 95), (96, 109), (109, 114), (108, 112), (112, 126), (113, 114), (125, 126)} <= edges
    assert not {(13, 14), (17, 18), (13, 18), (108, 109)} & edges


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_rounds_hold_every_edge_once(pairs):
    edges = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    rounds = split_into_rounds(10, edges)
    assert sorted(edge for each in rounds for edge in each) == edges
    for each in rounds:
        assert len({site for edge in each for site in edge}) == 2 * len(each)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 5), st.integers(6, 11)), max_size=36))
def test_graphs_of_two_halves_need_no_more_rounds_than_neighbours(edges):
    degrees = Counter(site for edge in edges for site in edge)
    assert len(split_into_rounds(12, sorted(edges))) == max(degrees.values(), default=0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("heavyhex:127", "did you mean 'heavy-hex'?"),
        ("heavy-hex:128", "did you mean '127'?"),
        ("heavy-hex", "unknown size of lattice 'heavy-hex': ''"),
        ("square:3", "expected square:RxC"),
        ("square:0x3", "1 to 2,000 sites"),
        ("square:99x99", "1 to 2,000 sites"),
        ("chain:-1", "expected chain:N"),
        ("chain:²", "expected chain:N"),
        ("ring:2", "3 sites or more"),
        ("ring:99999999999999999999", "1 to 2,000 sites"),
        ("nowhere.edges", "cannot be read"),
        ("/dev/zero", "no regular file"),
    ],
)
def test_bad_names_are_refused_in_one_line(name, said):
    with pytest.raises(InputError) as caught:
        load_lattice(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_edges(tmp_path):
    path = tmp_path / "mine.edges"
    path.write_text("# a star\n0 1\n2, 0  # comment\n\n0\t3\n")
    lattice = load_lattice(str(path))
    assert (lattice.n_sites, sorted(lattice.edges)) == (4, [(0, 1), (0, 2), (0, 3)])
    circuit = load_circuit("kicked-ising", 4, lattice=str(path), steps=1)
    assert [each.qubits for each in circuit.gates if len(each.qubits) == 2] == list(lattice.edges)
    path.write_text("0 1\n")
    assert load_lattice(str(path)).n_sites == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no edges"),
        ("0 1\n1 1\n", "line 2 .* different sites"),
        ("0 1\n1 0\n", "line 2 .* each edge once"),
        ("0 1 2\n", "line 1 .* no edge"),
        ("0 -1\n", "line 1 .* no edge"),
        ("0 ²\n", "line 1 .* no edge"),
        ("0 99999\n", "100,000 sites"),
        ("0 1\n" * 300_000, "1,200,000 bytes"),
        ("\xff", "no edge"),
    ],
)
def test_files_without_edges_are_refused(content, said, tmp_path):
    path = tmp_path / "bad.edges"
    path.write_text(content)
    with pytest.raises(CircuitError, match=said):
        load_lattice(str(path))


def test_kicked_ising_on_a_lattice():
    circuit = load_circuit("kicked-ising", 127, lattice="heavy-hex:127", theta_h=0.3, steps=2)
    lattice = load_lattice("heavy-hex:127")
    kick = [("RX", (site,), 0.3) for site in range(127)]
    bonds = [("RZZ", edge, -1.5707963267948966) for edge in lattice.edges]
    assert [(each.type.name, each.qubits, each.angles[0].value) for each in circuit.gates] == 2 * (
        kick + bonds
    )
    assert circuit.depth() == 8


def test_data_reuploading_on_a_lattice():
    circuit = load_circuit("data-reuploading", 12, layers=1, lattice="square:3x4")
    assert circuit.two_qubit_gates() == len(load_lattice("square:3x4").edges) == 17


@pytest.mark.parametrize(
    ("n", "lattice", "said"),
    [
        (4, "heavy-hex:127", "127 sites and the circuit 4 qubits"),
        (4, "cain", "did you mean 'chain'"),
        (4, "heavy-hex", "unknown size"),
        (4, "heavy-hxe:127", "did you mean 'heavy-hex'"),
    ],
)
def test_a_recipe_refuses_a_lattice_that_does_not_fit(n, lattice, said):
    with pytest.raises(InputError, match=said):
        load_circuit("kicked-ising", n, lattice=lattice)
