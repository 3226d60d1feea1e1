"""Gradients in features, weights and amplitudes, or their refusal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from hybridqies.backends import Backend, ExecutingBackend, Gradient
from hybridqies.circuit import Circuit, PauliString, Start, Weight, feature, gate
from hybridqies.errors import CapabilityError
from hybridqies.testing import dense
from hybridqies.testing.cases import DOUBLE, Case, case_of, from_amplitudes, random_case
from hybridqies.testing.subject import Subject, gradients_of, reference_gradients, run_case

Answer = TypeVar("Answer")

_READ = (PauliString.parse("ZI"), PauliString.parse("XY"))
_BEFORE = (gate("H", 0), gate("RY", 1, 0.8), gate("CNOT", (0, 1)))
# Each tests one rule of differentiation.
CIRCUITS = {
    "shared weight": [gate("RY", 0, Weight(0)), gate("RXX", (0, 1), Weight(0)), gate("RZ", 0, Weight(0))],
    "scaled": [gate("RX", 0, Weight(0, -2.5)), gate("RY", 1, feature(0, scale=0.5))],
    "product of features": [gate("RY", 0, feature(0, 1, 1)), gate("RZZ", (0, 1), feature(0, 1))],
    "controlled rotation": [
        gate("CRX", (0, 1), Weight(0)),
        gate("CRY", (1, 0), feature(0)),
        gate("CRZ", (0, 1), Weight(0, 0.5)),
    ],
    "feature and weight in one gate": [gate("ROT", 0, feature(0), Weight(0), 0.3)],
    "all of a gate": [gate("U", 0, Weight(0), feature(0), Weight(1)), gate("P", 1, Weight(1))],
}


def refused_or(ask: Callable[[], Answer]) -> Answer | str:
    """The result of `ask`, or the line in which it is refused."""
    try:
        return ask()
    except CapabilityError as error:
        (line,) = str(error).splitlines()
        return line


class GradientContract(Subject):
    """First derivatives are right, whatever the method; a gradient that is not available is refused."""

    def differentiable(self, **options: Any) -> Backend:
        """The backend under test where its gradient is exact: no shots, and not SPSA; else skipped."""
        subject = self.exact()
        if getattr(subject.options, "gradient", None) is Gradient.SPSA:
            pytest.skip(f"{subject.spec} draws its gradient at random")
        return self.having(**options) if options else subject

    def right(self, subject: Backend, case: Case) -> None:
        """Fails unless the gradient is the reference's."""
        for ours, exact in zip(
            gradients_of(run_case(subject, case), case), reference_gradients(case), strict=True
        ):
            np.testing.assert_allclose(ours, exact, rtol=0, atol=20 * self.atol)

    @pytest.mark.parametrize("seed", range(4))
    def test_gradient_of_a_random_circuit(self, seed: int) -> None:
        """In features and weights together."""
        self.right(self.differentiable(), random_case(seed).leaves())

    @pytest.mark.parametrize("kind", CIRCUITS)
    def test_gradient_of(self, kind: str) -> None:
        """Shared weights, scales, products and controlled rotations, one at a time."""
        circuit = Circuit.of(2, [*_BEFORE, *CIRCUITS[kind], gate("RX", 0, 0.4)], _READ, name=kind)
        self.right(self.differentiable(), case_of(circuit).leaves())

    def test_gradient_of_rows_of_weights(self) -> None:
        """Each row of weights (B, W) has its own gradient."""
        case = random_case(1)
        self.right(self.differentiable(), replace(case, weights=case.weights.repeat(3, 1)).leaves())

    @pytest.mark.parametrize("wanted", ["features", "weights"])
    def test_gradient_of_some_inputs(self, wanted: str) -> None:
        """The gradient of one input does not depend on whether the other wants one."""
        case = random_case(2).leaves()
        other = "weights" if wanted == "features" else "features"
        self.right(self.differentiable(), replace(case, **{other: getattr(case, other).detach()}))

    def test_gradient_from_amplitude_start(self) -> None:
        """Features and weights of a circuit that starts from amplitudes."""
        subject = self.differentiable()
        if not subject.capabilities.amplitude_input:
            pytest.skip(f"{subject.spec} takes no amplitudes")
        self.right(subject, random_case(3, Start.AMPLITUDES).leaves())

    def test_gradient_in_amplitudes_is_right_or_refused(self) -> None:
        """The gradient equals the reference's, or is refused by a line that names the backend."""
        subject = self.backend()
        if not subject.capabilities.amplitude_input:
            pytest.skip(f"{subject.spec} takes no amplitudes")
        case = case_of(from_amplitudes()).leaves(of_amplitudes=True)
        answer = refused_or(lambda: gradients_of(run_case(subject, case), case))
        if isinstance(answer, str):
            assert subject.name in answer
            return
        assert subject.capabilities.native_gradients
        if subject.is_exact or self.is_sampled():
            for ours, exact in zip(answer, reference_gradients(case), strict=True):
                np.testing.assert_allclose(ours, exact, rtol=0, atol=20 * self.atol)

    def test_second_derivative_is_right_or_refused(self) -> None:
        """A second derivative equals the reference's or is refused; it is never silently incomplete."""
        subject, case = self.differentiable(), random_case(4).leaves()
        direction = torch.ones_like(case.features)

        def second(values: torch.Tensor) -> torch.Tensor:
            (first,) = torch.autograd.grad(values.sum(), case.features, create_graph=True)
            return torch.autograd.grad((first * direction).sum(), case.features)[0]

        answer = refused_or(lambda: second(run_case(subject, case)))
        if isinstance(answer, str):
            assert "second derivative" in answer
            return
        exact = second(dense.expectations(case.circuit, *case.inputs))
        np.testing.assert_allclose(answer, exact, rtol=0, atol=20 * self.atol)

    def test_circuit_without_angles_in_training(self) -> None:
        """A circuit with nothing to differentiate still gives values."""
        subject = self.truthful()
        case = case_of(Circuit.of(2, [gate("H", 0), gate("RY", 1, 0.7), gate("CNOT", (0, 1))])).leaves()
        self.agree(subject, run_case(subject, case), case)

    def test_no_gradient_is_made_unasked(self) -> None:
        """Values have no gradient under no_grad, or if no input wants one."""
        subject, case = self.backend(), random_case(0)
        assert not run_case(subject, case).requires_grad
        with torch.no_grad():
            assert not run_case(subject, case.leaves()).requires_grad

    def test_gradient_of_an_empty_batch_is_zero(self) -> None:
        """Backward runs, and the gradient of the weights is zero."""
        subject, case = self.backend(), random_case(0).leaves()
        empty = replace(case, features=case.features.detach()[:0].requires_grad_())
        of_features, of_weights = gradients_of(run_case(subject, empty), empty)
        assert of_features.shape == (0, 3)
        assert not of_weights.any()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_gradient_keeps_precision(self, dtype: torch.dtype) -> None:
        """A gradient has the precision and shape of its input, and is finite."""
        subject, case = self.backend(), random_case(0).to(dtype).leaves()
        for ours, given in zip(gradients_of(run_case(subject, case), case), case.inputs, strict=False):
            assert given is not None
            assert (ours.dtype, ours.shape) == (dtype, given.shape)
            assert bool(ours.isfinite().all())

    def test_equal_steps_have_equal_gradients(self) -> None:
        """Sampled gradients, too, are equal with the same seed."""
        case = random_case(0).leaves()
        first, second = (gradients_of(run_case(self.backend(), case), case) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one, other)

    @pytest.mark.parametrize("seed", range(3))
    def test_shift_rule_is_exact(self, seed: int) -> None:
        """Shift rules with two and four terms, with the options of the backend under test."""
        self.exact()
        self.right(self.with_rule(Gradient.SHIFT), random_case(seed).leaves())

    def test_sampled_gradient(self) -> None:
        """A gradient from shots is within five standard errors of the exact one."""
        shots = 20_000
        subject = self.sampled(shots=shots)
        if getattr(subject.options, "gradient", None) is Gradient.SPSA:
            pytest.skip("SPSA is compared where its bias is known, in one angle")
        gates = [gate("CRY", (0, 1), Weight(0)), gate("RX", 0, Weight(1)), gate("RYY", (0, 1), Weight(0))]
        case = case_of(Circuit.of(2, [*_BEFORE, *gates], _READ[:1]), batch=1).leaves()
        (ours,) = torch.autograd.grad(run_case(subject, case).sum(), [case.weights])
        (exact,) = torch.autograd.grad(dense.expectations(case.circuit, *case.inputs).sum(), [case.weights])
        # The squares of a rule's coefficients sum to at most 1/2, and two gates share a weight.
        assert (ours - exact).abs().max() < 5 * math.sqrt(2 * 0.5 / shots)

    def test_spsa_of_one_angle(self) -> None:
        """In one angle SPSA is the central difference: the derivative times sin(step) / step."""
        step, directions = 0.5, 16
        options = {"step": step, "directions": directions}
        if self.is_sampled():
            options["shots"] = 20_000
        subject = self.with_rule(Gradient.SPSA, **options)
        circuit = Circuit.of(1, [gate("RY", 0, Weight(0))])
        weights = torch.tensor([0.7], dtype=DOUBLE, requires_grad=True)
        case = Case(circuit, torch.zeros(1, 0, dtype=DOUBLE), weights)
        (ours,) = gradients_of(run_case(subject, case).sum(dim=1), replace(case, features=case.features))
        (exact,) = torch.autograd.grad(dense.expectations(circuit, *case.inputs).sum(), [weights])
        direction = torch.rand(1, generator=torch.Generator().manual_seed(1), dtype=DOUBLE) + 0.5
        allowed = 20 * self.atol
        if subject.options.shots is not None:
            allowed += 5 * 1.5 / (step * math.sqrt(2 * directions * subject.options.shots))
        assert abs(float(ours - exact * direction * math.sin(step) / step)) < allowed

    @pytest.mark.parametrize("rule", [Gradient.SHIFT, Gradient.SPSA])
    def test_a_training_step_is_one_submission(self, rule: Gradient, monkeypatch: Any) -> None:
        """All samples and displaced points run together, as many as `n_circuits` says."""
        subject = self.with_rule(rule)
        assert isinstance(subject, ExecutingBackend)
        execute, rows = subject._execute, []

        def counted(circuit: Circuit, angles: torch.Tensor, amplitudes: Any) -> Any:
            rows.append(len(angles))
            return execute(circuit, angles, amplitudes)

        monkeypatch.setattr(subject, "_execute", counted)
        case = random_case(1).leaves()
        gradients_of(run_case(subject, case), case)
        assert rows == [subject.n_circuits(case.circuit, 3)]
