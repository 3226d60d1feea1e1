"""Each method of the table against dense algebra, and the controls."""

from __future__ import annotations

import math

import pytest
import torch

from hybridqies.compression import METHODS, approximate
from hybridqies.compression.methods import CircuitOptions, count_numbers, damp, factor
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.tensornet import MPO, Disentangled, count_parameters, qubit_sites, squared_error


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def covariance_of(width: int) -> torch.Tensor:
    """Inputs with a spectrum that falls as steeply as that of real activations."""
    scales = torch.logspace(0, -3, width, dtype=torch.float64)
    inputs = draw(6 * width, width, seed=5) * scales @ draw(width, width, seed=6)
    return inputs.T @ inputs / len(inputs)


def fit(weight: torch.Tensor, method: str, keep: float, *given, **options) -> MPO:
    """A fit without circuits."""
    fitted = approximate(weight, method, keep, *given, **options)
    assert isinstance(fitted, MPO)
    return fitted


@pytest.mark.parametrize("method", METHODS)
def test_each_method_keeps_at_most_its_share(method):
    weight, covariance = draw(24, 36), covariance_of(36)
    fitted = approximate(weight, method, 0.4, covariance)
    assert fitted.to_matrix().shape == weight.shape
    if METHODS[method].has_circuits:
        assert isinstance(fitted, Disentangled)
        more = count_parameters(*qubit_sites(24, 36), max(fitted.mpo.bonds) + 1) + fitted.n_angles
        assert count_numbers(fitted) <= 0.4 * 24 * 36 < more
    elif METHODS[method].has_size:
        per_bond = 24 + 36 if not METHODS[method].is_split else 4 * 6 + 6 * 6
        assert count_numbers(fitted) == math.floor(0.4 * 24 * 36 / per_bond) * per_bond


@pytest.mark.parametrize(("keep", "error"), [(0.5, 0.614), (0.25, 0.790), (0.1, 0.912)])
def test_two_sites_of_a_gaussian_lose_what_was_measured(keep, error):
    weight = draw(256, 256)
    mpo = fit(weight, "mpo", keep)
    assert float((mpo.to_matrix() - weight).norm() / weight.norm()) == pytest.approx(error, abs=0.01)


def test_svd_is_the_best_in_the_plain_norm():
    weight = draw(24, 36)
    left_out = torch.linalg.svdvals(weight)[math.floor(0.4 * 24 * 36 / 60) :]
    mpo = fit(weight, "svd", 0.4)
    assert squared_error(mpo, weight) == pytest.approx(float((left_out**2).sum()))


def test_whitened_svd_is_the_best_for_the_outputs():
    weight, covariance = draw(24, 36), damp(covariance_of(36))
    values, vectors = torch.linalg.eigh(covariance)
    left_out = torch.linalg.svdvals(weight @ vectors * values.sqrt())[math.floor(0.4 * 24 * 36 / 60) :]
    mpo = fit(weight, "wsvd", 0.4, covariance_of(36))
    assert squared_error(mpo, weight, covariance) == pytest.approx(float((left_out**2).sum()))


@pytest.mark.parametrize("n_sites", [2, 3])
def test_the_fitted_mpo_is_better_for_the_outputs_than_the_plain_one(n_sites):
    weight, covariance = draw(24, 36), damp(covariance_of(36))
    plain = fit(weight, "mpo", 0.4, n_sites=n_sites)
    fitted = fit(weight, "wmpo", 0.4, covariance_of(36), n_sites=n_sites)
    assert fitted.n_parameters == plain.n_parameters
    assert squared_error(fitted, weight, covariance) < 0.5 * squared_error(plain, weight, covariance)
    assert squared_error(fitted, weight) > squared_error(plain, weight)


@pytest.mark.parametrize("method", ["mpo", "wmpo", "svd", "wsvd"])
def test_a_weight_that_has_the_form_already_loses_nothing(method):
    start = fit(draw(16, 16), method.removeprefix("w"), 0.5)
    weight = start.to_matrix()
    again = fit(weight, method, 0.5, covariance_of(16))
    assert again.bonds == start.bonds == (4,)
    assert torch.dist(again.to_matrix(), weight) < 1e-6


def test_the_controls_are_nothing_and_noise_of_equal_norm():
    weight = draw(24, 36)
    nothing, noise = fit(weight, "zero", 0.5), fit(weight, "gaussian", 0.5)
    assert nothing.n_parameters == 0
    assert not nothing.to_matrix().any()
    assert noise.to_matrix().norm() == pytest.approx(float(weight.norm()))
    assert torch.equal(fit(weight, "gaussian", 0.5).to_matrix(), noise.to_matrix())
    assert not torch.equal(fit(weight, "gaussian", 0.5, seed=1).to_matrix(), noise.to_matrix())


@pytest.mark.parametrize(
    ("width", "n_sites", "factors"),
    [(576, 2, (24, 24)), (192, 2, (12, 16)), (1536, 2, (32, 48)), (216, 3, (6, 6, 6))],
)
def test_widths_are_split_into_near_equal_factors(width, n_sites, factors):
    assert factor(width, n_sites) == factors


@pytest.mark.parametrize(
    ("shape", "method", "keep", "said"),
    [
        ((24, 36), "mpo", 0.0, "above 0 and up to 1"),
        ((24, 36), "svd", 1.5, "above 0 and up to 1"),
        ((24, 36), "mpo", 0.01, "expected at least 0.0694"),
        ((24, 37), "mpo", 0.5, "width 37 is not a product of 2 factors"),
        ((24, 36), "wsvd", 0.5, "texts to calibrate with"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(shape, method, keep, said):
    with pytest.raises(InputError, match=said) as caught:
        fit(draw(*shape), method, keep)
    assert "\n" not in str(caught.value)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'wmpo'"):
        fit(draw(4, 4), "wmpoo", 0.5)


def test_circuits_are_paid_for_by_the_operator_between_them():
    weight = draw(16, 16)
    bonds = []
    for price in (0.0, 1.0, 2.0):
        fitted = approximate(weight, "disentangled", 0.8, circuits=CircuitOptions(depth=3, price=price))
        assert isinstance(fitted, Disentangled)
        # Four qubits: 2 + 1 + 2 gates on each side, of six angles.
        assert fitted.n_angles == 2 * 5 * 6
        assert count_numbers(fitted, price) == fitted.mpo.n_parameters + price * 60 <= 0.8 * 256
        bonds.append(max(fitted.mpo.bonds))
    assert bonds[0] > bonds[1] > bonds[2]
    with pytest.raises(InputError, match=r"expected at least 0.29"):
        approximate(weight, "disentangled", 0.2, circuits=CircuitOptions(depth=3))


def test_circuits_help_beside_the_same_operator_alone():
    weight = draw(16, 16)
    free = [
        approximate(weight, "disentangled", 0.5, circuits=CircuitOptions(depth, price=0.0))
        for depth in (0, 4)
    ]
    errors = [float((each.to_matrix() - weight).norm() / weight.norm()) for each in free]
    assert errors[1] < errors[0] - 0.01
