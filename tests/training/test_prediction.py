"""How many rows are predicted at once, and what predictions may not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from built_heads import built_head
from torch import nn

from hybridqies.backends import QuantumLayer, load_backend
from hybridqies.errors import InputError
from hybridqies.training import predict_probabilities, prediction_batch


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        ("statevector", 32),
        ("statevector,shots=64", 256),
        ("statevector,p1=0.01", 256),
        ("statevector,gradient=shift", 32),
        ("pennylane:default.qubit", 32),
        ("ionq:simulator,shots=64", 700),
    ],
)
def test_one_rule_by_where_circuits_run(spec: str, rows: int) -> None:
    head = built_head("dressed", 7, 2, n_qubits=2)
    assert isinstance(head.circuit, QuantumLayer)
    head.circuit.backend = load_backend(spec)
    assert prediction_batch(head, 700, 32) == rows


def test_without_circuits_it_is_that_of_training_or_many() -> None:
    assert prediction_batch(built_head("mlp", 7, 2), 700, 32) == 32
    assert prediction_batch(built_head("logistic", 7, 2), 700) == 256
    remote = built_head("dressed", 7, 2, n_qubits=2)
    assert isinstance(remote.circuit, QuantumLayer)
    remote.circuit.backend = load_backend("ionq:simulator,shots=64")
    assert prediction_batch(remote, 0, 32) == 1


@pytest.mark.parametrize("name", ["mlp", "dressed", "two-module"])
def test_the_size_of_batches_makes_no_difference(name: str) -> None:
    head = built_head(name, 7, 3)
    rows = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    whole, parts = (predict_probabilities(head, rows, size) for size in (256, 7))
    np.testing.assert_allclose(whole, parts, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_gets_no_label(value: float) -> None:
    head, rows = built_head("mlp", 7, 3), torch.zeros(9, 7)
    rows[4, 2] = value
    with pytest.raises(InputError, match="the model's answer for row 5 is not a number"):
        predict_probabilities(head, rows, 2)
    with torch.no_grad():
        next(part for part in head.modules() if isinstance(part, nn.Linear)).weight.fill_(value)
    with pytest.raises(InputError, match="the model's answer for row 1 is not a number"):
        predict_probabilities(head, torch.ones(9, 7))
