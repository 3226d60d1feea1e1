"""Correlations against numpy's, partial ones against residuals of a regression."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hybridqies.analysis import correlate
from hybridqies.errors import InputError


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def residual(values: np.ndarray, covariates: list[np.ndarray]) -> np.ndarray:
    design = np.column_stack([np.ones(len(values)), *covariates])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def test_values_are_those_of_numpy_and_of_residuals():
    covariates = draw(2, 12, 30) + 5
    target = covariates[0] + 0.5 * draw(12, 30, seed=1)
    values = 3e-3 * (covariates[0] - covariates[1] + target + draw(12, 30, seed=2)) + 0.55
    values[:, :4] = math.nan
    found = correlate(values, target, covariates)
    known = ~values.isnan().numpy()
    first, second = values.numpy()[known], target.numpy()[known]
    rest = [each[known] for each in covariates.numpy()]
    assert found.n == 12 * 26
    assert found.r == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-9)
    partial = np.corrcoef(residual(first, rest), residual(second, rest))[0, 1]
    assert found.partial == pytest.approx(partial, abs=1e-9)
    assert found.low < found.r < found.high
    assert found.partial_low < found.partial < found.partial_high


def test_what_only_a_covariate_causes_is_gone_when_it_is_held_fixed():
    covariate = draw(40, 50)
    values, target = covariate + draw(40, 50, seed=1), covariate + draw(40, 50, seed=2)
    found = correlate(values, target, covariate[None])
    assert found.r == pytest.approx(0.5, abs=0.05)
    assert found.low > 0.3
    assert found.partial_low < 0 < found.partial_high


def test_the_interval_is_over_windows():
    # All tokens of a window are the same: the interval is that of 30 pairs, not of 30 · 40.
    values, target = (draw(30, 1, seed=seed).expand(30, 40) for seed in (3, 4))
    found = correlate(values, target, draw(1, 30, 40))
    assert found.high - found.low > 0.35


def test_quantities_that_do_not_vary_have_no_correlation():
    still = torch.full((3, 5), 0.3, dtype=torch.float64) + 1e-9 * draw(3, 5)
    found = correlate(still, draw(3, 5), draw(1, 3, 5))
    assert (found.r, found.low, found.high) == (None, None, None)
    assert (found.partial, found.partial_low, found.partial_high) == (None, None, None)
    constant = correlate(draw(3, 5), draw(3, 5, seed=1), torch.ones(1, 3, 5))
    assert constant.partial == pytest.approx(constant.r)
    with pytest.raises(InputError, match="at least 2 windows"):
        correlate(draw(1, 5), draw(1, 5), draw(1, 1, 5))
