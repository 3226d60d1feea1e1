"""From outcomes to expectations and their errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridqies.backends import load_backend
from hybridqies.backends.readout import Frequencies, bases, estimate, measured_circuits
from hybridqies.circuit import Circuit, PauliString, feature, gate, load_circuit

DOUBLE = torch.float64


def strings(*letters: str) -> list[PauliString]:
    return [PauliString.parse(each) for each in letters]


def test_all_z_type_observables_share_one_circuit():
    assert len(bases(strings("ZII", "IZI", "ZZZ", "IIZ", "III"))) == 1
    circuit = load_circuit("long-range-reupload", 5, readout_qubits=5)
    assert measured_circuits(circuit) == (circuit,)


def test_what_disagrees_on_a_qubit_is_measured_apart():
    found = bases(strings("ZI", "XI", "IX", "IZ", "YY"))
    assert [(dict(basis.letters), basis.observables) for basis in found] == [
        ({0: "Z", 1: "X"}, (0, 2)),
        ({0: "X", 1: "Z"}, (1, 3)),
        ({0: "Y", 1: "Y"}, (4,)),
    ]


def test_probabilities_give_the_engines_expectations():
    observables = strings("ZI", "XI", "IY", "YX", "ZZ", "II")
    circuit = Circuit.of(
        2, [gate("RX", 0, 0.3), gate("CRY", (0, 1), 1.1), gate("T", 1), gate("H", 0)], observables
    )
    from hybridqies.engine import compile_states, final_states

    none = torch.zeros(1, 0, dtype=DOUBLE)
    seen = [
        Frequencies.of_probabilities(final_states(compile_states(each), none, none[0]).abs().numpy() ** 2)
        for each in measured_circuits(circuit)
    ]
    found = estimate(circuit, seen)
    wanted = load_backend("statevector").expectations(circuit, none, none[0])
    np.testing.assert_allclose(found.values, wanted, rtol=0, atol=1e-12)
    assert float(found.covariance.abs().max()) == 0.0
    assert found.values[0, 5] == 1.0


def test_moments_are_those_of_the_shots():
    draw = np.random.default_rng(0)
    shots = draw.integers(0, 8, (2, 500))
    counts = [{format(state, "03b"): int((row == state).sum()) for state in np.unique(row)} for row in shots]
    circuit = Circuit.of(3, [gate("H", 0)], strings("ZII", "IZZ", "ZZI"))
    found = estimate(circuit, [Frequencies.of_counts(counts)])
    for row, taken in enumerate(shots):
        bits = 1 - 2 * ((taken[:, None] >> np.array([2, 1, 0])) & 1)
        signs = np.stack([bits[:, 0], bits[:, 1] * bits[:, 2], bits[:, 0] * bits[:, 1]])
        np.testing.assert_allclose(found.values[row], signs.mean(axis=1), rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.covariance[row], np.cov(signs) / 500, rtol=0, atol=1e-12)


def test_standard_errors_are_right():
    """Over many seeds the values scatter as much as each one claims."""
    circuit = Circuit.of(
        2, [gate("RY", 0, feature(0)), gate("CNOT", (0, 1)), gate("RX", 1, 0.5)], strings("ZI", "IX", "ZZ")
    )
    features = torch.tensor([[0.7], [2.0]], dtype=DOUBLE)
    none = torch.zeros(0, dtype=DOUBLE)
    taken = [
        load_backend(f"statevector,shots=50,seed={seed}").estimate(circuit, features, none)
        for seed in range(400)
    ]
    values = torch.stack([each.values for each in taken])
    exact = load_backend("statevector").expectations(circuit, features, none)
    claimed = torch.stack([each.covariance for each in taken]).mean(dim=0)
    for row in range(2):
        found = np.cov(values[:, row].numpy().T)
        # A variance of 400 draws errs by a relative sqrt(2 / 400) = 0.07; four times that.
        np.testing.assert_allclose(found.diagonal(), claimed[row].diagonal(), rtol=0.29)
        np.testing.assert_allclose(found, claimed[row], atol=4 * float(claimed[row].max()) / 20)
    errors = claimed.diagonal(dim1=1, dim2=2).sqrt() / 20
    assert ((values.mean(dim=0) - exact).abs() < 4 * errors + 1e-12).all()


@pytest.mark.parametrize("shots", [1, 7])
def test_as_many_shots_as_asked(shots):
    circuit = Circuit.of(1, [gate("H", 0)])
    values = (
        load_backend(f"statevector,shots={shots}")
        .estimate(circuit, torch.zeros(50, 0), torch.zeros(0))
        .values
    )
    steps = (values + 1) * shots / 2
    torch.testing.assert_close(steps, steps.round(), atol=1e-5, rtol=0)
    assert len(steps.unique()) > 1
