"""Each method of the table against dense algebra, and the controls."""

from __future__ import annotations

import math

import pytest
import torch

from hybridqies.compression import METHODS, approximate
from hybridqies.compression.methods import damp, factor
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.tensornet import squared_error


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def covariance_of(width: int) -> torch.Tensor:
    """Inputs with a spectrum that falls as steeply as that of real activations."""
    scales = torch.logspace(0, -3, width, dtype=torch.float64)
    inputs = draw(6 * width, width, seed=5) * scales @ draw(width, width, seed=6)
    return inputs.T @ inputs / len(inputs)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_keeps_at_most_its_share(method):
    weight, covariance = draw(24, 36), covariance_of(36)
    mpo = approximate(weight, method, 0.4, covariance)
    assert mpo.to_matrix().shape == weight.shape
    if METHODS[method].has_size:
        per_bond = 24 + 36 if not METHODS[method].is_split else 4 * 6 + 6 * 6
        assert mpo.n_parameters == math.floor(0.4 * 24 * 36 / per_bond) * per_bond


@pytest.mark.parametrize(("keep", "error"), [(0.5, 0.614), (0.25, 0.790), (0.1, 0.912)])
def test_two_sites_of_a_gaussian_lose_what_was_measured(keep, error):
    weight = draw(256, 256)
    mpo = approximate(weight, "mpo", keep)
    assert float((mpo.to_matrix() - weight).norm() / weight.norm()) == pytest.approx(error, abs=0.01)


def test_svd_is_the_best_in_the_plain_norm():
    weight = draw(24, 36)
    left_out = torch.linalg.svdvals(weight)[math.floor(0.4 * 24 * 36 / 60) :]
    mpo = approximate(weight, "svd", 0.4)
    assert squared_error(mpo, weight) == pytest.approx(float((left_out**2).sum()))


def test_whitened_svd_is_the_best_for_the_outputs():
    weight, covariance = draw(24, 36), damp(covariance_of(36))
    values, vectors = torch.linalg.eigh(covariance)
    left_out = torch.linalg.svdvals(weight @ vectors * values.sqrt())[math.floor(0.4 * 24 * 36 / 60) :]
    mpo = approximate(weight, "wsvd", 0.4, covariance_of(36))
    assert squared_error(mpo, weight, covariance) == pytest.approx(float((left_out**2).sum()))


@pytest.mark.parametrize("n_sites", [2, 3])
def test_the_fitted_mpo_is_better_for_the_outputs_than_the_plain_one(n_sites):
    weight, covariance = draw(24, 36), damp(covariance_of(36))
    plain = approximate(weight, "mpo", 0.4, n_sites=n_sites)
    fitted = approximate(weight, "wmpo", 0.4, covariance_of(36), n_sites=n_sites)
    assert fitted.n_parameters == plain.n_parameters
    assert squared_error(fitted, weight, covariance) < 0.5 * squared_error(plain, weight, covariance)
    assert squared_error(fitted, weight) > squared_error(plain, weight)


@pytest.mark.parametrize("method", ["mpo", "wmpo", "svd", "wsvd"])
def test_a_weight_that_has_the_form_already_loses_nothing(method):
    start = approximate(draw(16, 16), method.removeprefix("w"), 0.5)
    weight = start.to_matrix()
    again = approximate(weight, method, 0.5, covariance_of(16))
    assert again.bonds == start.bonds == (4,)
    assert torch.dist(again.to_matrix(), weight) < 1e-6


def test_the_controls_are_nothing_and_noise_of_equal_norm():
    weight = draw(24, 36)
    nothing, noise = approximate(weight, "zero", 0.5), approximate(weight, "gaussian", 0.5)
    assert nothing.n_parameters == 0
    assert not nothing.to_matrix().any()
    assert noise.to_matrix().norm() == pytest.approx(float(weight.norm()))
    assert torch.equal(approximate(weight, "gaussian", 0.5).to_matrix(), noise.to_matrix())
    assert not torch.equal(approximate(weight, "gaussian", 0.5, seed=1).to_matrix(), noise.to_matrix())


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
        approximate(draw(*shape), method, keep)
    assert "\n" not in str(caught.value)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'wmpo'"):
        approximate(draw(4, 4), "wmpoo", 0.5)
