"""What shot noise does to an accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridqies.backends import load_backend
from hybridqies.heads import build_head
from hybridqies.heads.base import HeadContext
from hybridqies.training import is_sampled, predict_probabilities, probabilities_with_noise


def head(backend: str):
    context = HeadContext(8, 2, backend, torch.Generator().manual_seed(1))
    return build_head("dressed", {"n_qubits": 3}, context).eval()


@pytest.fixture(scope="module")
def data():
    random = torch.Generator().manual_seed(2)
    embeddings = torch.randn(120, 8, generator=random)
    labels = predict_probabilities(head("statevector"), embeddings).argmax(axis=1)
    flipped = np.random.default_rng(3).random(120) < 0.2
    return embeddings, np.where(flipped, 1 - labels, labels)


def test_which_heads_are_sampled():
    assert not is_sampled(head("statevector"))
    assert is_sampled(head("statevector,shots=10"))
    assert is_sampled(head("statevector,p2=0.1"))
    assert not is_sampled(torch.nn.Linear(2, 2))


def test_the_error_is_the_spread_over_seeds(data):
    embeddings, labels = data
    accuracies, claimed = [], []
    for seed in range(20):
        probabilities, noise = probabilities_with_noise(
            head(f"statevector,shots=60,seed={seed}"), embeddings, labels, batch_size=60
        )
        accuracies.append((probabilities.argmax(axis=1) == labels).mean())
        claimed.append(noise.accuracy_error)
        low, high = noise.accuracy_interval
        assert low < accuracies[-1] < high
    # A standard deviation of 20 draws errs by 16 %; the replays err around a value that has erred already.
    assert np.std(accuracies, ddof=1) == pytest.approx(np.mean(claimed), rel=0.5)


def test_each_circuit_is_run_once(data, monkeypatch):
    embeddings, labels = data
    own = head("statevector,shots=60")
    backend = own.circuit.backend
    calls = []
    estimate = type(backend).estimate
    monkeypatch.setattr(type(backend), "estimate", lambda *given: calls.append(1) or estimate(*given))
    probabilities, _ = probabilities_with_noise(own, embeddings, labels, batch_size=200)
    assert len(calls) == 1
    assert own.circuit.backend is backend
    np.testing.assert_array_equal(probabilities, predict_probabilities(own, embeddings, 200))


def test_more_shots_less_noise(data):
    embeddings, labels = data
    errors = [
        probabilities_with_noise(head(f"statevector,shots={shots}"), embeddings, labels, 200)[1]
        for shots in (20, 2000)
    ]
    assert errors[0].accuracy_error > 2 * errors[1].accuracy_error
    assert errors[0].expectation_error == pytest.approx(10 * errors[1].expectation_error, rel=0.1)


def test_backends_come_back_after_a_failure(data):
    own = head("statevector,shots=60")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        probabilities_with_noise(own, torch.randn(3, 9), np.zeros(3, dtype=int), 10)
    assert own.circuit.backend.spec == load_backend("statevector,shots=60").spec
