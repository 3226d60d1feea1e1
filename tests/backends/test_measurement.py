"""From outcomes to expectations and their errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridqies.backends import frequencies, load_backend
from hybridqies.backends.frequencies import Frequencies, estimate_observables
from hybridqies.backends.measurement_bases import group_observables, split_by_basis
from hybridqies.circuit import Circuit, PauliString, Start, feature, gate, load_circuit

DOUBLE = torch.float64


def strings(*letters: str) -> list[PauliString]:
    return [PauliString.parse(each) for each in letters]


def test_all_z_type_observables_share_one_circuit():
    assert len(group_observables(strings("ZII", "IZI", "ZZZ", "IIZ", "III"))) == 1
    circuit = load_circuit("long-range-reupload", 5, readout_qubits=5)
    assert split_by_basis(circuit) == (circuit,)


def test_what_disagrees_on_a_qubit_is_measured_apart():
    found = group_observables(strings("ZI", "XI", "IX", "IZ", "YY"))
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
        for each in split_by_basis(circuit)
    ]
    found = estimate_observables(circuit, seen)
    wanted = load_backend("statevector").expectations(circuit, none, none[0])
    np.testing.assert_allclose(found.values, wanted, rtol=0, atol=1e-12)
    assert float(found.covariance.abs().max()) == 0.0
    assert found.values[0, 5] == 1.0


def test_moments_are_those_of_the_shots():
    draw = np.random.default_rng(0)
    shots = draw.integers(0, 8, (2, 500))
    counts = [{format(state, "03b"): int((row == state).sum()) for state in np.unique(row)} for row in shots]
    circuit = Circuit.of(3, [gate("H", 0)], strings("ZII", "IZZ", "ZZI"))
    found = estimate_observables(circuit, [Frequencies.of_counts(counts)])
    for row, taken in enumerate(shots):
        bits = 1 - 2 * ((taken[:, None] >> np.array([2, 1, 0])) & 1)
        signs = np.stack([bits[:, 0], bits[:, 1] * bits[:, 2], bits[:, 0] * bits[:, 1]])
        np.testing.assert_allclose(found.values[row], signs.mean(axis=1), rtol=0, atol=1e-12)
        # Of either sign one more than was seen.
        chance = ((signs == 1).sum(axis=1) + 1) / 502
        variances = 4 * chance * (1 - chance) / 500
        covariance = found.covariance[row].numpy()
        np.testing.assert_allclose(covariance.diagonal(), variances, rtol=1e-12)
        roots = np.sqrt(variances)
        np.testing.assert_allclose(
            covariance / np.outer(roots, roots), np.corrcoef(signs), rtol=0, atol=1e-10
        )


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
        np.testing.assert_allclose(found, claimed[row], rtol=0.29, atol=4 * float(claimed[row].max()) / 20)
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


def test_few_equal_shots_are_not_certain():
    circuit = Circuit.of(2, [gate("X", 0)], strings("ZI", "IZ", "ZZ", "II"))
    none = torch.zeros(1, 0, dtype=DOUBLE)
    for shots, error in ((1, 2 * (2 / 9) ** 0.5), (1000, 2 * (1001 / (1002**2 * 1000)) ** 0.5)):
        found = load_backend(f"statevector,shots={shots}").estimate(circuit, none, none[0])
        assert found.values[0].tolist() == [-1, 1, -1, 1]
        np.testing.assert_allclose(found.standard_errors[0], [error, error, error, 0], rtol=1e-9)


def test_many_outcomes_are_averaged_in_pieces(monkeypatch):
    draw = np.random.default_rng(1)
    masks = [0b100, 0b011, 0b111]
    shared = Frequencies(np.arange(8)[None], draw.dirichlet(np.ones(8), 5), 100)
    own = Frequencies(draw.integers(0, 8, (5, 6)), draw.dirichlet(np.ones(6), 5), 100)
    whole = [each.moments(masks) for each in (shared, own)]
    monkeypatch.setattr(frequencies, "_AT_ONCE", 20)
    for each, (means, covariance) in zip((shared, own), whole, strict=True):
        again = each.moments(masks)
        np.testing.assert_allclose(again[0], means, rtol=0, atol=1e-14)
        np.testing.assert_allclose(again[1], covariance, rtol=0, atol=1e-14)


def test_other_amplitudes_draw_other_shots():
    circuit = Circuit.of(1, [gate("RZ", 0, 0.1)], start=Start.AMPLITUDES)
    none = torch.zeros(400, 0, dtype=DOUBLE)
    even = torch.ones(400, 2, dtype=DOUBLE)
    backend = load_backend("statevector,shots=20")
    one = backend.estimate(circuit, none, none[0], even).values[:, 0]
    moved = backend.estimate(circuit, none, none[0], even + torch.tensor([0.0, 1e-6])).values[:, 0]
    # 400 pairs: a correlation of nothing is within 4 / sqrt(400).
    assert abs(np.corrcoef(one, moved)[0, 1]) < 0.2
