"""The backend under test: the two hooks, and helpers of the tests."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from hybridqies.backends import Backend, ExecutingBackend, Gradient
from hybridqies.backends.spec import BackendSpec
from hybridqies.errors import InputError
from hybridqies.testing import dense
from hybridqies.testing.cases import Case

# Standard errors that a sampled value may be away from the exact one.
_FAR = 5


class Subject:
    """What a subclass fills in: `backend`, and `atol` if its precision is not double."""

    atol: ClassVar[float] = 1e-10

    def backend(self) -> Backend:
        """A new backend, equal at every call."""
        raise NotImplementedError("a contract needs the hook `backend`, which returns the backend under test")

    def having(self, **options: Any) -> Backend:
        """A new backend that differs in these options alone."""
        subject = self.backend()
        whole = {**BackendSpec.parse(subject.spec).options, **options}
        if options.get("gradient") not in (None, Gradient.SPSA.value):
            # Other rules refuse the options of SPSA.
            whole = {key: value for key, value in whole.items() if key not in ("directions", "step")}
        return type(subject)(subject.target, **whole)

    def shots(self) -> int | None:
        """The shots of the backend under test; None where it has none."""
        shots: int | None = getattr(self.backend().options, "shots", None)
        return shots

    def is_sampled(self) -> bool:
        """Whether shots are all that makes its values differ from the exact ones.

        Override it for a noiseless backend that cannot run without shots.
        """
        if self.shots() is None:
            return False
        try:
            return self.having(shots=None).is_exact
        except InputError:
            return False

    def exact(self) -> Backend:
        """The backend under test; the test is skipped if it is not exact."""
        subject = self.backend()
        if not subject.is_exact:
            pytest.skip(f"{subject.spec} is not exact")
        return subject

    def sampled(self, **options: Any) -> Backend:
        """The backend under test with these options; skipped if it is not sampled without noise."""
        if not self.is_sampled():
            pytest.skip(f"{self.backend().spec} is not sampled from the noiseless circuit")
        return self.having(**options)

    def with_shots(self) -> Backend:
        """The backend under test, noisy or not; skipped if it has no shots."""
        if self.shots() is None:
            pytest.skip(f"{self.backend().spec} has no shots")
        return self.backend()

    def truthful(self, **options: Any) -> Backend:
        """The backend under test; skipped if it is noisy, since there is no reference for noise."""
        subject = self.backend()
        if not (subject.is_exact or self.is_sampled()):
            pytest.skip(f"{subject.spec} is noisy and compared with itself only")
        return self.having(**options) if options else subject

    def with_rule(self, gradient: Gradient, **options: Any) -> Backend:
        """The backend under test with a gradient rule; skipped if it is no `ExecutingBackend`."""
        if not isinstance(self.backend(), ExecutingBackend):
            pytest.skip(f"{self.backend().spec} takes no gradient rule")
        return self.truthful(gradient=gradient.value, **options)

    def amplitudes_taken(self) -> Backend:
        """The backend under test; skipped if it takes no amplitudes, or is noisy."""
        subject = self.truthful()
        if not subject.capabilities.amplitude_input:
            pytest.skip(f"{subject.spec} takes no amplitudes")
        return subject

    def agree(self, backend: Backend, values: Tensor, case: Case) -> None:
        """Fails unless `values` are those of `case`, within `atol` or five standard errors of its shots."""
        exact = dense.expectations(case.circuit, *case.inputs).detach()
        allowed = torch.full_like(exact, self.atol)
        shots = getattr(backend.options, "shots", None)
        if shots is not None:
            allowed += _FAR * dense.standard_errors(exact, shots)
        away = (values.detach().double() - exact).abs()
        assert away.shape == exact.shape
        assert bool((away <= allowed).all()), f"values {values}, exact {exact}, allowed {allowed}"

    def close(self, ours: Tensor, theirs: Tensor) -> None:
        """Fails unless two tensors agree within `atol`."""
        np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=0, atol=self.atol)


def run_case(backend: Backend, case: Case) -> Tensor:
    """Expectations of a case."""
    return backend.expectations(case.circuit, *case.inputs)


def gradients_of(values: Tensor, case: Case, *, seed: int = 1) -> list[Tensor]:
    """The gradient of a random combination of `values` in the inputs of `case` that want one."""
    random = torch.Generator().manual_seed(seed)
    direction = torch.rand(values.shape, generator=random, dtype=torch.float64).to(values) + 0.5
    wanted = [each for each in case.inputs if each is not None and each.requires_grad]
    return list(torch.autograd.grad((values * direction).sum(), wanted, materialize_grads=True))


def reference_gradients(case: Case) -> list[Tensor]:
    """The same gradient by the dense reference."""
    return gradients_of(dense.expectations(case.circuit, *case.inputs), case)
