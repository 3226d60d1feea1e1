"""Matrix-product operators against tensorly, dense algebra and the counts that others published."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hybridqies.errors import InputError
from hybridqies.tensornet import MPO, count_parameters, improve, squared_error
from hybridqies.tensornet.mpo import split_indices

OUT, WITHIN = (3, 2, 4), (2, 5, 2)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def covariance_of(width: int) -> torch.Tensor:
    inputs = draw(4 * width, width, seed=5) @ draw(width, width, seed=6)
    return inputs.T @ inputs / len(inputs)


@pytest.mark.parametrize(
    ("chi", "count"), [(1, 36), (2, 132), (5, 696), (10, 2356), (50, 36_948), (None, 401_956)]
)
def test_ten_sites_have_the_published_numbers_of_parameters(chi, count):
    """arXiv:2410.17397 splits 192 × 576, padded, with both smaller sites at one end."""
    if chi is None:
        chi = 256
    assert count_parameters([2] * 8 + [1, 1], [2] * 10, chi) == count


@pytest.mark.parametrize("chi", [1, 7, 36])
def test_three_equal_sites_follow_the_closed_formula(chi):
    assert count_parameters([6, 6, 6], [6, 6, 6], chi) == 2 * 36 * chi + 36 * chi**2


def test_the_cores_hold_as_many_numbers_as_counted():
    for chi in (1, 3, 100):
        mpo = MPO.from_matrix(draw(24, 20), OUT, WITHIN, chi)
        assert mpo.n_parameters == count_parameters(OUT, WITHIN, chi)


def test_without_a_limit_on_the_bonds_nothing_is_lost():
    matrix = draw(24, 20)
    mpo = MPO.from_matrix(matrix, OUT, WITHIN)
    assert (mpo.out_dims, mpo.in_dims) == (OUT, WITHIN)
    assert torch.dist(mpo.to_matrix(), matrix) < 1e-12


def test_a_smaller_matrix_is_padded_with_zeros():
    matrix = draw(21, 17)
    whole = MPO.from_matrix(matrix, OUT, WITHIN).to_matrix()
    assert whole.shape == (24, 20)
    assert torch.dist(whole[:21, :17], matrix) < 1e-12
    assert whole[21:].norm() + whole[:, 17:].norm() < 1e-12


def test_truncation_agrees_with_tensorly():
    tensor_train_matrix = pytest.importorskip("tensorly.decomposition").tensor_train_matrix
    matrix = draw(24, 20)
    tensor = matrix.numpy().reshape(*OUT, *WITHIN)
    theirs = tensor_train_matrix(tensor, rank=[1, 4, 3, 1])
    dense = np.asarray(theirs.to_tensor()).reshape(24, 20)
    sites = split_indices(matrix, OUT, WITHIN)
    assert sites.shape == (6, 10, 8)
    ours = MPO.from_matrix(matrix, OUT, WITHIN, 3).to_matrix().numpy()
    same_chi = np.asarray(tensor_train_matrix(tensor, rank=[1, 3, 3, 1]).to_tensor()).reshape(24, 20)
    assert np.abs(ours - same_chi).max() < 1e-6
    assert np.abs(ours - dense).max() > 1e-3


def test_gradients_reach_the_cores():
    cores = [core.requires_grad_() for core in MPO.from_matrix(draw(6, 4), (3, 2), (2, 2), 2).cores]
    assert torch.autograd.gradcheck(lambda *each: MPO(each).to_matrix(), cores)


@pytest.mark.parametrize("weighted", [False, True])
def test_sweeps_never_make_it_worse(weighted):
    matrix, covariance = draw(24, 20), covariance_of(20) if weighted else None
    mpo = MPO.from_matrix(matrix, OUT, WITHIN, 3)
    errors = [squared_error(mpo, matrix, covariance)]
    for _ in range(4):
        mpo = improve(mpo, matrix, covariance)
        errors.append(squared_error(mpo, matrix, covariance))
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(errors))
    assert errors[-1] < 0.99 * errors[0]
    assert mpo.n_parameters == count_parameters(OUT, WITHIN, 3)


def test_the_last_update_is_the_minimum_for_its_core():
    """At the minimum the gradient of the error with respect to the core is zero."""
    matrix, covariance = draw(24, 20), covariance_of(20)
    mpo = improve(MPO.from_matrix(matrix, OUT, WITHIN, 3), matrix, covariance)
    first = mpo.cores[0].clone().requires_grad_()
    change = matrix - MPO((first, *mpo.cores[1:])).to_matrix()
    error = (change @ covariance * change).sum()
    (gradient,) = torch.autograd.grad(error, first)
    assert gradient.norm() < 1e-9 * (matrix @ covariance).norm()


def test_with_white_inputs_both_errors_have_the_same_minimum():
    matrix = draw(24, 20)
    start = MPO.from_matrix(matrix, OUT, WITHIN, 3)
    plain = improve(start, matrix)
    white = improve(start, matrix, torch.eye(20, dtype=torch.float64))
    assert torch.dist(plain.to_matrix(), white.to_matrix()) < 1e-10


def test_one_row_index_makes_it_a_weighted_low_rank_fit():
    """Sites (rows, 1) × (1, columns) are a plain product of two matrices; whitened SVD is then optimal."""
    matrix, covariance = draw(8, 6), covariance_of(6)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.sqrt() @ vectors.T
    least = float((torch.linalg.svdvals(matrix @ root)[2:] ** 2).sum())
    mpo = improve(MPO.from_matrix(matrix, (8, 1), (1, 6), 2), matrix, covariance, sweeps=60)
    assert squared_error(mpo, matrix, covariance) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize(
    ("out_dims", "in_dims", "chi", "said"),
    [
        ((3, 2), (2, 5, 2), 2, "same number of positive dimensions"),
        ((3, 2, 0), WITHIN, 2, "same number of positive dimensions"),
        ((3, 2, 2), WITHIN, 2, "at most 12 rows"),
        (OUT, WITHIN, 0, "positive bond dimension"),
    ],
)
def test_bad_splits_are_refused_in_one_line(out_dims, in_dims, chi, said):
    with pytest.raises(InputError, match=said) as caught:
        MPO.from_matrix(draw(24, 20), out_dims, in_dims, chi)
    assert "\n" not in str(caught.value)


def test_cores_that_make_no_chain_and_bad_covariances_are_refused():
    mpo = MPO.from_matrix(draw(24, 20), OUT, WITHIN, 3)
    with pytest.raises(InputError, match="make no chain"):
        MPO(mpo.cores[1:])
    with pytest.raises(InputError, match=r"expected \(20, 20\)"):
        improve(mpo, draw(24, 20), torch.eye(24, dtype=torch.float64))
    with pytest.raises(InputError, match="positive definite"):
        improve(mpo, draw(24, 20), -torch.eye(20, dtype=torch.float64))
