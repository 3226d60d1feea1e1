"""Shot noise in predictions: circuits are measured once, and replayed with random errors."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hybridqies.backends import Backend, Estimate, QuantumLayer
from hybridqies.circuit import Circuit
from hybridqies.training.prediction import predict_probabilities

REPLAYS = 200
# Two-sided 95 % of a normal distribution.
_WIDTH = 1.959964


@dataclass(frozen=True, slots=True)
class ShotNoise:
    """The shot noise of an accuracy.

    `accuracy_error` is one standard deviation of the accuracy over replays in which every
    expectation errs as its covariance says; `accuracy_interval` is 95 % around the accuracy that was
    measured. It covers the noise of the shots, and not the choice of the test texts.
    `expectation_error` is the mean standard error of an expectation.
    """

    accuracy_error: float
    accuracy_interval: tuple[float, float]
    expectation_error: float


def probabilities_with_noise(
    head: nn.Module, embeddings: Tensor, labels: npt.NDArray[np.integer], batch_size: int, seed: int = 0
) -> tuple[np.ndarray, ShotNoise]:
    """Class probabilities (B, K), measured once, and the shot noise of their accuracy.

    Each circuit is run once; replays only repeat the classical rest of the head.
    """
    with _in_place_of(head, _Recording) as recordings:
        measured = predict_probabilities(head, embeddings, batch_size)
    taken = [each.estimates for each in recordings]
    tapes = [[(each.values, _root(each.covariance)) for each in tape] for tape in taken]
    generator = torch.Generator().manual_seed(seed)
    accuracies = []
    for _ in range(REPLAYS):
        replays = iter([_Replay(tape, generator) for tape in tapes])
        with _in_place_of(head, functools.partial(_next, replays)):
            replayed = predict_probabilities(head, embeddings, batch_size)
        accuracies.append(float((replayed.argmax(axis=1) == labels).mean()))
    accuracy = float((measured.argmax(axis=1) == labels).mean())
    error = float(np.std(accuracies, ddof=1))
    interval = (max(0.0, accuracy - _WIDTH * error), min(1.0, accuracy + _WIDTH * error))
    sampled = [
        each.standard_errors.flatten() for tape in taken for each in tape if each.covariance is not None
    ]
    return measured, ShotNoise(error, interval, float(torch.cat(sampled).mean()))


def is_sampled(head: nn.Module) -> bool:
    """Whether any circuit of the head runs with shots or noise, and every such one tells its errors."""
    backends = [part.backend for part in head.modules() if isinstance(part, QuantumLayer)]
    sampled = [each for each in backends if not each.is_exact]
    return bool(sampled) and all(each.tells_errors for each in sampled)


class _Recording:
    """Stands where a backend stood, asks it for estimates, and keeps them."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.estimates: list[Estimate] = []

    def expectations(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
    ) -> Tensor:
        """The values of a new estimate."""
        self.estimates.append(self.backend.estimate(circuit, features, weights, amplitudes))
        return self.estimates[-1].values


class _Replay:
    """Stands where a backend stood and gives what was recorded, with errors drawn anew."""

    def __init__(self, tape: list[tuple[Tensor, Tensor | None]], generator: torch.Generator) -> None:
        self.tape = iter(tape)
        self.generator = generator

    def expectations(self, *_: object) -> Tensor:
        """The next recorded values, each row shifted by an error of its covariance."""
        values, root = next(self.tape)
        if root is None:
            return values
        draws = torch.randn(values.shape, generator=self.generator, dtype=torch.float64).to(root)
        return values + torch.einsum("nij,nj->ni", root, draws).to(values)


def _next(replays: Iterator[_Replay], _: Backend) -> _Replay:
    return next(replays)


def _root(covariance: Tensor | None) -> Tensor | None:
    """What turns independent errors to those of the covariance, which is singular where qubits agree."""
    if covariance is None:
        return None
    sizes, axes = torch.linalg.eigh(covariance.double())
    root: Tensor = axes * sizes.clamp(min=0).sqrt()[:, None, :]
    return root


@contextlib.contextmanager
def _in_place_of(head: nn.Module, make: Callable[[Backend], object]) -> Iterator[list]:  # type: ignore[type-arg]
    """Every circuit layer of `head` with a stand-in for its backend, in the order of the modules."""
    layers = [part for part in head.modules() if isinstance(part, QuantumLayer)]
    own = [layer.backend for layer in layers]
    stand_ins = [make(backend) for backend in own]
    try:
        for layer, stand_in in zip(layers, stand_ins, strict=True):
            layer.backend = stand_in  # type: ignore[assignment]
        yield stand_ins
    finally:
        for layer, backend in zip(layers, own, strict=True):
            layer.backend = backend
