"""Shots: standard errors, covariances, and samples that a seed repeats."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from hybridqies.testing import dense
from hybridqies.testing.cases import DOUBLE, Case, case_of, product_state, random_case, twins
from hybridqies.testing.subject import Subject, run_case


class ShotContract(Subject):
    """Standard errors, covariances and seeds of sampled values."""

    def test_exact_values_have_no_errors(self) -> None:
        """Zero standard errors where nothing is sampled, and the same values at every call."""
        subject, case = self.exact(), random_case(0)
        assert not subject.estimate(case.circuit, *case.inputs).standard_errors.any()
        assert torch.equal(run_case(subject, case), run_case(subject, case))

    def test_standard_errors_of_a_product_state(self) -> None:
        """Those of a mean of signs, sqrt((1 - <Z>^2) / shots)."""
        subject, case = self.sampled(), case_of(product_state(), batch=4)
        shots = subject.options.shots
        exact = dense.expectations(case.circuit, *case.inputs)
        errors = subject.estimate(case.circuit, *case.inputs).standard_errors
        expected = dense.standard_errors(exact, shots)
        # The error is computed from the sampled mean, which is at most five standard errors away.
        allowed = (10 * exact.abs() * expected + 25 * expected**2 + 2 / shots) / shots
        assert bool(((errors**2 - expected**2).abs() <= allowed).all())

    def test_errors_are_spread_as_they_say(self) -> None:
        """The deviations of two hundred equal circuits have the size of the standard error, and no bias."""
        subject, case = self.sampled(), case_of(product_state(1), batch=1)
        many = replace(case, features=torch.full((200, 1), 1.1, dtype=DOUBLE))
        estimate = subject.estimate(many.circuit, *many.inputs)
        deviations = (estimate.values - math.cos(1.1)) / estimate.standard_errors
        assert abs(float(deviations.mean())) < 5 / math.sqrt(200)
        # A mean of 200 squares of normal numbers has a standard deviation of 1/10.
        assert 0.5 < float((deviations**2).mean()) < 1.5

    def test_covariance_is_a_covariance(self) -> None:
        """Symmetric, without negative eigenvalues, its diagonal the squared standard errors."""
        subject, case = self.with_shots(), random_case(1)
        estimate = subject.estimate(case.circuit, *case.inputs)
        covariance = estimate.covariance
        assert covariance is not None
        assert covariance.shape == (3, 5, 5)
        assert torch.equal(covariance, covariance.mT)
        assert float(torch.linalg.eigvalsh(covariance).min()) > -1e-12
        squares = covariance.diagonal(dim1=1, dim2=2).clamp(min=0)
        np.testing.assert_allclose(estimate.standard_errors**2, squares, rtol=0, atol=1e-15)

    def test_z_observables_share_their_shots(self) -> None:
        """Twins agree in every shot: equal means, product 1, correlation 1; X is measured separately."""
        subject, case = self.sampled(), case_of(twins())
        estimate = subject.estimate(case.circuit, *case.inputs)
        assert torch.equal(estimate.values[:, 0], estimate.values[:, 1])
        self.close(estimate.values[:, 2], torch.ones(3, dtype=DOUBLE))
        covariance = estimate.covariance
        assert covariance is not None
        self.close(covariance[:, 0, 1], covariance[:, 0, 0])
        assert not covariance[:, 0, 3].any()
        self.agree(subject, estimate.values, case)

    def test_four_times_the_shots_halve_the_errors(self) -> None:
        """Standard errors shrink by the square root."""
        case = case_of(product_state(), batch=1)
        shots = self.sampled().options.shots
        few, many = (
            self.sampled(shots=count).estimate(case.circuit, *case.inputs) for count in (shots, 4 * shots)
        )
        ratio = few.standard_errors / many.standard_errors
        np.testing.assert_allclose(ratio, 2, rtol=0, atol=20 / math.sqrt(shots))

    def test_equal_seeds_draw_equal_samples(self) -> None:
        """Samples do not depend on what was run before."""
        case, other = random_case(2), random_case(3)
        first, second = self.backend(), self.backend()
        run_case(second, other)
        assert torch.equal(run_case(first, case), run_case(second, case))
        assert torch.equal(run_case(first, case), run_case(first, case))

    def test_other_seeds_draw_other_samples(self) -> None:
        """Another seed changes the samples."""
        self.with_shots()
        case = random_case(2)
        seed = self.backend().options.seed
        assert not torch.equal(run_case(self.backend(), case), run_case(self.having(seed=seed + 1), case))

    def test_equal_rows_draw_for_themselves(self) -> None:
        """Equal rows of a batch are sampled independently."""
        subject, case = self.with_shots(), case_of(product_state(), batch=1)
        many = Case(case.circuit, case.features.expand(16, -1), case.weights)
        assert len(run_case(subject, many)[:, 0].unique()) > 1

    def test_global_generators_are_left_alone(self) -> None:
        """Sampling neither uses nor changes the global generators of NumPy and torch."""
        case = random_case(2)
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002 - the global generator is what is tested
        first = run_case(self.backend(), case)
        drawn = torch.rand(1), np.random.random()  # noqa: NPY002
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002
        assert (torch.rand(1), np.random.random()) == drawn  # noqa: NPY002
        assert torch.equal(run_case(self.backend(), case), first)
