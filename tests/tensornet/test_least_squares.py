"""One core for the others held fixed: conjugate gradients against the factorised system."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from hybridqies.errors import InputError
from hybridqies.tensornet import MPO, contract, improve, least_squares, squared_error
from hybridqies.tensornet.least_squares import descend, invert_blocks, project, solve_at_once

SITES = {2: ((4, 6), (5, 4)), 3: ((3, 2, 4), (2, 5, 2))}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def covariance_of(width: int) -> torch.Tensor:
    """Inputs with a spectrum that falls as steeply as that of real activations, damped as they are."""
    inputs = draw(6 * width, width, seed=5) * torch.logspace(0, -3, width, dtype=torch.float64)
    found = inputs @ draw(width, width, seed=6)
    covariance = found.T @ found / len(inputs)
    return covariance + 1e-3 * covariance.diagonal().mean() * torch.eye(width, dtype=torch.float64)


class Core:
    """One core of a random MPO, and its problem: a random matrix and covariance."""

    def __init__(self, n_sites: int, site: int) -> None:
        outs, ins = SITES[n_sites]
        self.matrix = draw(math.prod(outs), math.prod(ins))
        self.covariance = covariance_of(math.prod(ins))
        moved = self.matrix @ self.covariance
        self.energy = float((self.matrix * moved).sum())
        self.cores = list(MPO.from_matrix(draw(*self.matrix.shape, seed=2), outs, ins, 3).cores)
        self.site, self.core = site, self.cores[site]
        ones = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        self.left = contract(self.cores[:site]) if site else ones
        self.right = contract(self.cores[site + 1 :]) if self.cores[site + 1 :] else ones
        self.projection = project(moved, self.left, self.right, self.core)

    def apply(self, core: torch.Tensor) -> torch.Tensor:
        matrix = contract([self.left, core, self.right])[0, :, :, 0]
        return project(matrix @ self.covariance, self.left, self.right, core)

    def descend(self, **how) -> torch.Tensor:
        blocks = invert_blocks(self.left, self.right, self.covariance, self.core.shape[2])
        return descend(self.core, self.projection, self.apply, blocks, self.energy, **how)

    def error(self, core: torch.Tensor) -> float:
        cores = (*self.cores[: self.site], core, *self.cores[self.site + 1 :])
        return squared_error(MPO(cores), self.matrix, self.covariance)


PLACES = [(n_sites, site) for n_sites in SITES for site in range(n_sites)]


@pytest.mark.parametrize(("n_sites", "site"), PLACES)
def test_it_converges_to_the_factorised_system(n_sites, site):
    problem = Core(n_sites, site)
    exact = solve_at_once(problem.projection, problem.left, problem.right, problem.covariance)
    found = problem.descend(steps=400, gain=0.0)
    assert torch.dist(found, exact) < 1e-6 * exact.norm()
    assert problem.error(exact) <= problem.error(found) * (1 + 1e-12)


@pytest.mark.parametrize(("n_sites", "site"), PLACES)
def test_no_step_raises_the_error(n_sites, site):
    problem = Core(n_sites, site)
    errors = [problem.error(problem.descend(steps=steps, gain=0.0)) for steps in range(9)]
    assert errors[0] == problem.error(problem.core)
    assert errors[3] < errors[2] < errors[1] < errors[0]
    # The smallest has six unknowns, and is solved after as many steps.
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(errors))


def test_blocks_take_fewer_steps_than_none():
    problem = Core(2, 1)
    plain = descend(problem.core, problem.projection, problem.apply, lambda it: it, problem.energy, steps=4)
    assert problem.error(problem.descend(steps=4)) < problem.error(plain)


def test_it_ends_where_steps_gain_little():
    problem = Core(2, 0)
    calls: list[int] = []

    def apply(core: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return problem.apply(core)

    blocks = invert_blocks(problem.left, problem.right, problem.covariance, problem.core.shape[2])
    descend(problem.core, problem.projection, apply, blocks, problem.energy, gain=0.9)
    assert len(calls) < 5


def test_a_large_system_is_fitted_nearly_as_well_as_if_it_was_factorised(monkeypatch):
    matrix, covariance = draw(144, 144), covariance_of(144)
    start = MPO.from_matrix(matrix, (12, 12), (12, 12), 30)
    exact = improve(start, matrix, covariance, sweeps=2)
    monkeypatch.setattr(least_squares, "LARGEST_SYSTEM", 0)
    mpo, errors = start, [squared_error(start, matrix, covariance)]
    for _ in range(2):
        mpo = improve(mpo, matrix, covariance)
        errors.append(squared_error(mpo, matrix, covariance))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1.1 * squared_error(exact, matrix, covariance) < 0.5 * errors[0]


def test_a_covariance_with_negative_eigenvalues_is_refused(monkeypatch):
    matrix, covariance = draw(24, 20), -torch.eye(20, dtype=torch.float64)
    start = MPO.from_matrix(matrix, *SITES[2], 3)
    for largest in (0, 100):
        monkeypatch.setattr(least_squares, "LARGEST_SYSTEM", largest)
        with pytest.raises(InputError, match="not positive definite"):
            improve(start, matrix, covariance)
