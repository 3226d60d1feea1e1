"""The layer that holds a backend: copied, saved and trained like any other module."""

from __future__ import annotations

import copy

import torch

from hybridqies.backends import QuantumLayer
from hybridqies.testing.cases import DOUBLE, Case, random_case
from hybridqies.testing.subject import Subject


class LayerContract(Subject):
    """A `QuantumLayer` on the backend under test behaves as torch modules do."""

    def layer(self) -> tuple[QuantumLayer, Case]:
        """A layer, and a case that its inputs are taken from."""
        case = random_case(6)
        random = torch.Generator().manual_seed(0)
        return QuantumLayer(case.circuit, self.backend(), generator=random, dtype=DOUBLE), case

    def test_a_deep_copy_is_equal_and_apart(self) -> None:
        """A copy gives the same values and has its own weights."""
        layer, case = self.layer()
        before = layer(case.features)
        copied = copy.deepcopy(layer)
        assert torch.equal(copied(case.features), before)
        with torch.no_grad():
            copied.weights.add_(1)
        assert torch.equal(layer(case.features), before)
        assert not torch.equal(copied(case.features), before)

    def test_state_is_the_weights_alone(self) -> None:
        """The backend adds nothing to the state, and another layer can load it."""
        layer, case = self.layer()
        assert list(layer.state_dict()) == ["weights"]
        other = QuantumLayer(case.circuit, self.backend(), dtype=DOUBLE)
        other.load_state_dict(layer.state_dict())
        assert torch.equal(other(case.features), layer(case.features))

    def test_leading_axes_are_kept(self) -> None:
        """(..., F) in, (..., M) out."""
        layer, case = self.layer()
        assert layer(case.features[:2].reshape(1, 2, 1, 3)).shape == (1, 2, 1, 5)

    def test_a_step_moves_the_weights(self) -> None:
        """Backward fills the gradient of the weights that the circuit uses, and of its inputs."""
        layer, case = self.layer()
        features = case.features.clone().requires_grad_()
        layer(features).square().sum().backward()
        for gradient in (layer.weights.grad, features.grad):
            assert gradient is not None
            assert bool(gradient.any())
