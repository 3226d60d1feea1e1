"""quimb's simple update, gate by gate on the same graph, gives the same values, loops or truncated."""

from __future__ import annotations

import pytest
import torch

from hybridqies.circuit import Circuit, gate, load_lattice
from hybridqies.tensornet import Program

NONE = torch.zeros(1, 0, dtype=torch.float64)


@pytest.mark.parametrize(("name", "chi"), [("square:3x3", 8), ("heavy-hex:infinite", 3)])
def test_the_same_values_as_quimb(name, chi):
    quimb = pytest.importorskip("quimb")
    from quimb import tensor

    lattice = load_lattice(name)
    gates = []
    for step in range(3):
        gates += [gate("RX", site, 0.5 + 0.1 * site) for site in range(lattice.n_sites)]
        # Angles without equal singular values, of which either could be kept.
        gates += [gate("RZZ", edge, 0.6 + 0.03 * step + 0.01 * sum(edge)) for edge in lattice.edges]
    gates += [gate("RX", site, 0.4) for site in range(lattice.n_sites)]
    theirs = tensor.CircuitPEPSSimpleUpdate(edges=lattice.edges, max_bond=chi, cutoff=0.0, renorm=True)
    for each in gates:
        theirs.apply_gate(each.type.name, each.angles[0].value, *each.qubits)
    ours = Program.of(Circuit.of(lattice.n_sites, gates), lattice.edges).run(NONE, NONE, chi)
    values = [float(theirs.local_expectation(quimb.pauli("Z"), site).real) for site in range(lattice.n_sites)]
    torch.testing.assert_close(ours.values[0], torch.tensor(values, dtype=torch.float64), rtol=0, atol=1e-10)
    assert (float(ours.discarded) > 1e-3) == (chi == 3)
