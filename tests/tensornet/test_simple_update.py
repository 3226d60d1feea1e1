"""Graph-PEPS: exact on trees, the known values on heavy-hex lattices, honest about what it discards."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tensornet import pauli_propagation
from tensornet.circuits_on_graphs import RING, TREE, inputs, random_circuit

from hybridqies.circuit import Circuit, PauliString, gate, load_circuit, load_lattice
from hybridqies.errors import CapabilityError
from hybridqies.tensornet import Program
from hybridqies.testing import dense

NONE = torch.zeros(1, 0, dtype=torch.float64)
# ⟨Z62⟩ on 127 sites at θ = 0.6 after 1 to 6 steps, by sparse Pauli propagation.
Z62 = [0.8253356149096783, 0.6811788772383368, 0.7414428013285426]
Z62 += [0.7567501472927803, 0.7608592617758363, 0.7686273580028515]
# θ in units of π/32, then the mean of ⟨Z⟩ and ⟨Z62⟩, exact after 5 steps.
ANGLES = {
    1: (0.995131, 0.995269),
    2: (0.979836, 0.981742),
    4: (0.904843, 0.922334),
    6: (0.731464, 0.772682),
    8: (0.452804, 0.519411),
    10: (0.180317, 0.238477),
    12: (0.037263, 0.059299),
    14: (0.002936, 0.006919),
    16: (0.0, 0.0),
}


def kicked_ising(size: str, chi: int, *, theta: float = 0.6, steps: int = 5, beliefs: bool = False):
    lattice = load_lattice(f"heavy-hex:{size}")
    circuit = load_circuit("kicked-ising", lattice.n_sites, lattice=lattice.name, theta_h=theta, steps=steps)
    return Program.of(circuit).run(NONE, NONE, chi, beliefs=beliefs)


@pytest.mark.parametrize("beliefs", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_random_circuits_on_trees_are_exact(seed, beliefs):
    circuit = random_circuit(5, TREE, 25, seed)
    found = Program.of(circuit, TREE).run(*inputs(seed), 16, beliefs=beliefs)
    exact = dense.expectations(circuit, *inputs(seed))
    torch.testing.assert_close(found.values, exact, rtol=0, atol=1e-12)
    assert float(found.discarded.max()) < 1e-28


@pytest.mark.parametrize("steps", range(1, 7))
def test_the_exact_values_on_127_sites(steps):
    found = kicked_ising("127", 32 if steps < 6 else 64, steps=steps)
    assert abs(float(found.values[0, 62]) - Z62[steps - 1]) < 1e-12
    assert float(found.discarded) == 0


def test_pauli_propagation_agrees_on_every_site_that_differs():
    circuit = load_circuit("kicked-ising", 127, lattice="heavy-hex:127", steps=3)
    values = Program.of(circuit).run(NONE, NONE, 8).values[0]
    for site in (0, 13, 14, 33, 62, 126):
        assert abs(pauli_propagation.expectation(circuit, PauliString.on("Z", site)) - values[site]) < 1e-13


@pytest.mark.parametrize(
    "k", [k if k in (4, 10, 16) else pytest.param(k, marks=pytest.mark.slow) for k in ANGLES]
)
def test_the_exact_table_of_angles(k):
    values = kicked_ising("127", 32, theta=k * math.pi / 32).values[0]
    mean, one = ANGLES[k]
    assert abs(float(values.mean()) - mean) < 1e-6
    assert abs(float(values[62]) - one) < 1e-6


@pytest.mark.parametrize(
    ("size", "mean"),
    [
        pytest.param("433", 0.709485137, marks=pytest.mark.slow),
        ("1121", 0.705560931),
        ("infinite", 0.699066350),
    ],
)
def test_larger_and_infinite_lattices(size, mean):
    values = kicked_ising(size, 32).values[0]
    assert abs(float(values.mean()) - mean) < 1e-8
    if size == "infinite":
        assert float((values[:2] - 0.760859262).abs().max()) < 1e-8
        assert float((values[2:] - 0.657871075).abs().max()) < 1e-8


def test_small_chi_discards_and_says_so():
    found = {chi: kicked_ising("127", chi) for chi in (4, 8, 16)}
    errors = [abs(float(each.values[0, 62]) - Z62[4]) for each in found.values()]
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 2.5e-4
    discarded = [float(each.discarded) for each in found.values()]
    assert discarded[0] > discarded[1] > discarded[2] >= 0
    assert [each.bond for each in found.values()] == [4, 8, 16]
    assert all(0 <= float(each.largest) <= float(each.discarded) for each in found.values())


@pytest.mark.parametrize(
    ("chi", "value", "discarded"),
    [
        (8, 0.749, 1.08),
        pytest.param(16, 0.695, 0.33, marks=pytest.mark.slow),
        pytest.param(32, 0.675, 0.083, marks=pytest.mark.slow),
    ],
)
def test_twenty_steps_have_not_converged(chi, value, discarded):
    circuit = load_circuit("kicked-ising", 127, lattice="heavy-hex:127", steps=20)
    # The values are of all layers. No Z depends on the last one; reading X as well keeps it.
    read = (*circuit.observables, *(PauliString.on("X", site) for site in range(127)))
    found = Program.of(replace(circuit, observables=read)).run(NONE, NONE, chi)
    # Equal singular values leave it to the order of the edges what is kept: that moves values by 0.002.
    assert abs(float(found.values[0, 62]) - value) < 0.003
    assert abs(float(found.discarded) / discarded - 1) < 0.02
    less = Program.of(circuit).run(NONE, NONE, chi)
    assert float(less.discarded) < float(found.discarded)
    assert 1e-4 < abs(float(less.values[0, 62] - found.values[0, 62])) < 0.01


def test_twenty_small_kicks_have_converged():
    found = kicked_ising("127", 8, theta=2 * math.pi / 32, steps=20)
    assert abs(float(found.values[0, 62]) - 0.979488) < 1e-6
    assert float(found.discarded) < 1e-5


def test_what_is_discarded_is_the_weight_of_the_smaller_singular_values():
    # cos|00⟩ + sin|11⟩ has the singular values cos and sin of half the angle.
    circuit = Circuit.of(2, [gate("RY", 0, 0.8), gate("CNOT", (0, 1))], [PauliString.parse("XX")])
    found = Program.of(circuit).run(NONE, NONE, 1)
    assert abs(float(found.discarded) - math.sin(0.4) ** 2) < 1e-14
    assert torch.equal(found.discarded, found.largest)


def test_loops_are_exact_while_no_light_cone_closes():
    circuit = load_circuit("kicked-ising", 12, lattice="ring:12", steps=4)
    exact = pauli_propagation.expectation(circuit, PauliString.on("Z", 5))
    assert abs(float(Program.of(circuit).run(NONE, NONE, 16).values[0, 5]) - exact) < 1e-12
    small = load_circuit("kicked-ising", 4, lattice="square:2x2", steps=5)
    values = Program.of(small).run(NONE, NONE, 32).values
    assert float((values - dense.expectations(small, NONE, NONE[0])).abs().max()) > 1e-3


def test_belief_propagation_mends_what_truncation_spoils_on_a_tree():
    circuit = random_circuit(5, TREE, 60, 3)
    program, given = Program.of(circuit, TREE), inputs(3)
    state = program.evolve(*given, 2)
    tree = program.run(*given, 2, beliefs=True).values
    # The state itself, site by site, against its own expectations.
    vector = contract_tree(state)
    norm = vector.conj().mul(vector).flatten(1).sum(dim=1).real
    z0 = vector.clone()
    z0[:, 1] *= -1
    exact = (vector.conj() * z0).flatten(1).sum(dim=1).real / norm
    assert float(state.discarded.min()) > 1e-3
    torch.testing.assert_close(tree[:, 0], exact, rtol=0, atol=1e-12)


def contract_tree(state):
    """The amplitudes of the tree 0-1, 1-2, 1-3, 3-4, (B, 2, 2, 2, 2, 2)."""
    a, b, c, d, e = state.tensors
    inverse = {pair: (1 / weights).to(a) for pair, weights in state.weights.items()}
    b = torch.einsum("zqxyw,zx,zy,zw->zqxyw", b, inverse[0, 1], inverse[1, 2], inverse[1, 3])
    e = torch.einsum("zsv,zv->zsv", e, inverse[3, 4])
    return torch.einsum("zpx,zqxyw,zry,zswv,ztv->zpqrst", a, b, c, d, e)


def test_strings_of_many_sites_and_parts_that_are_not_connected():
    gates = [gate("RY", 0, 0.7), gate("CNOT", (0, 1)), gate("RX", 2, 0.4), gate("CNOT", (2, 3))]
    words = ("XXII", "ZIIZ", "ZZYX", "IIIX")
    circuit = Circuit.of(4, gates, map(PauliString.parse, words))
    found = Program.of(circuit).run(NONE, NONE, 4).values
    torch.testing.assert_close(found, dense.expectations(circuit, NONE, NONE[0]), rtol=0, atol=1e-14)


def test_gates_off_the_lattice_are_refused():
    circuit = load_circuit("kicked-ising", 4, lattice="ring", steps=2)
    with pytest.raises(CapabilityError, match=r"1 pairs of qubits off the lattice, as \(0, 3\)"):
        Program.of(circuit, load_lattice("chain:4").edges)


def test_bytes_are_counted_before_anything_is_allocated():
    circuit = load_circuit("kicked-ising", 9, lattice="square:3x3", steps=8)
    program = Program.of(circuit)
    state = program.evolve(NONE, NONE, 4)
    assert program.bytes_needed(4) >= sum(tensor.nbytes for tensor in state.tensors)
    assert program.bytes_needed(4) == 32 * (4 * 4**2 + 4 * 4**3 + 4**4)


def test_work_is_counted_before_anything_is_run():
    # A chain of two: one update of two sites without other bonds, whose bond of 1 becomes one of 2.
    circuit = Circuit.of(2, [gate("RY", 0, 0.8), gate("CNOT", (0, 1))], [PauliString.parse("XX")])
    assert Program.of(circuit).count_work(8) == 4 * 2**3 + 22 * 2**3
    works = {size: of_device(size).count_work(32) for size in (127, 433)}
    edges = {size: len(of_device(size).edges) for size in (127, 433)}
    # Linear in the edges, but for those at the boundary.
    assert abs(works[433] / works[127] / (edges[433] / edges[127]) - 1) < 0.15
    assert of_device(127).count_work(4) < of_device(127).count_work(8) < works[127]


def of_device(size: int) -> Program:
    return Program.of(load_circuit("kicked-ising", size, lattice=f"heavy-hex:{size}", steps=5))


def test_rows_are_independent_and_rounds_are_told():
    circuit = random_circuit(4, RING, 20, 1)
    program, (features, weights) = Program.of(circuit, RING), inputs(1, batch=3)
    told: list[tuple[int, int]] = []
    together = program.run(features, weights, 8, on_round=lambda *each: told.append(each)).values
    for row in range(3):
        alone = program.run(features[row : row + 1], weights[row : row + 1], 8).values
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-12)
    assert told == [(done, len(program.rounds)) for done in range(1, len(program.rounds) + 1)]
