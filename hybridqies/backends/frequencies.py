"""From outcomes to expectations: estimates of observables from counts or probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hybridqies.backends.estimate import Estimate
from hybridqies.backends.measurement_bases import group_observables
from hybridqies.circuit import Circuit, PauliString

Floats = NDArray[np.float64]

# Numbers held at a time while products of parities are averaged.
_AT_ONCE = 2**21


def estimate_observables(circuit: Circuit, frequencies: Sequence[Frequencies]) -> Estimate:
    """Expectations of the observables of `circuit` from the outcomes in each of its bases, in their order."""
    rows, count = len(frequencies[0]), len(circuit.observables)
    values, covariance = np.ones((rows, count)), np.zeros((rows, count, count))
    for basis, seen in zip(group_observables(circuit.observables), frequencies, strict=True):
        own = list(basis.observables)
        means, spread = seen.moments([_mask(circuit.observables[at], circuit.n_qubits) for at in own])
        values[:, own] = means
        covariance[np.ix_(range(rows), own, own)] = spread
    return Estimate(torch.from_numpy(values), torch.from_numpy(covariance))


@dataclass(frozen=True, eq=False, slots=True)
class Frequencies:
    """Relative frequencies of outcomes, a row per circuit: `weights` (N, K) sum to 1 over `outcomes` (N, K).

    An outcome is the index of a basis state, qubit 0 the most significant bit; `outcomes` is (1, K) where
    all rows share them. `shots` is the number of shots per row, None where the weights are exact.
    """

    outcomes: NDArray[np.int64]
    weights: Floats
    shots: int | None

    def __len__(self) -> int:
        return len(self.weights)

    @classmethod
    def of_probabilities(cls, probabilities: Floats) -> Frequencies:
        """Exact, from a probability for every basis state: (N, 2**n)."""
        return cls(np.arange(probabilities.shape[1])[None], probabilities, None)

    def sampled(self, shots: int, draw: np.random.Generator) -> Frequencies:
        """Frequencies in `shots` samples drawn from these probabilities."""
        counts = draw.multinomial(shots, self.weights / self.weights.sum(axis=1, keepdims=True))
        return Frequencies(self.outcomes, counts / shots, shots)

    @classmethod
    def of_counts(cls, counts: Sequence[Mapping[str, int]]) -> Frequencies:
        """From dictionaries of bit strings, qubit 0 first, all with the same number of shots."""
        shots = sum(counts[0].values())
        longest = max(len(each) for each in counts)
        outcomes = np.zeros((len(counts), longest), dtype=np.int64)
        weights = np.zeros((len(counts), longest))
        for row, each in enumerate(counts):
            outcomes[row, : len(each)] = [int(bits, 2) for bits in each]
            weights[row, : len(each)] = np.array(list(each.values())) / sum(each.values())
        return cls(outcomes, weights, shots)

    def moments(self, masks: Sequence[int]) -> tuple[Floats, Floats]:
        """Means (N, M) of the parities under `masks`, and the covariance (N, M, M) of those means.

        Variances are computed as if one more shot of either sign had been seen, so that a few equal shots
        do not give zero variance (Agresti and Coull, Am. Stat. 52, 119 (1998)). Correlations are those of
        the shots.
        """
        means, second = self._averages(np.array(masks, dtype=np.int64))
        if self.shots is None:
            return means, np.zeros_like(second)
        drawn = second - means[:, :, None] * means[:, None, :]
        spread = drawn.diagonal(axis1=1, axis2=2)
        seen = self.shots / (self.shots + 2)
        # The parity of no qubits is always 1.
        variances = np.where(np.array(masks) == 0, 0.0, (1 - (seen * means) ** 2) / self.shots)
        # Rounding leaves small values where the variance is zero.
        varied = spread > 1e-12
        scale = np.sqrt(np.where(varied, variances / np.where(varied, spread, 1.0), 0.0))
        covariance = drawn * (scale[:, :, None] * scale[:, None, :])
        own = np.arange(len(masks))
        covariance[:, own, own] = variances
        return means, covariance

    def _averages(self, masks: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Means of the parities (N, M) and of their products (N, M, M), computed in pieces to save memory."""
        rows, count = self.weights.shape
        pairs = len(masks) ** 2
        means, second = np.zeros((rows, len(masks))), np.zeros((rows, pairs))
        if len(self.outcomes) == 1:
            step = max(1, _AT_ONCE // pairs)
            for at in range(0, count, step):
                signs = _parities(self.outcomes[0, at : at + step], masks)
                means += self.weights[:, at : at + step] @ signs
                if self.shots is not None:
                    second += self.weights[:, at : at + step] @ _products(signs)
        else:
            step = max(1, _AT_ONCE // (pairs * count))
            for at in range(0, rows, step):
                signs, own = _parities(self.outcomes[at : at + step], masks), self.weights[at : at + step]
                means[at : at + step] = np.einsum("nk,nkm->nm", own, signs)
                second[at : at + step] = np.einsum("nk,nkp->np", own, _products(signs))
        return means, second.reshape(rows, len(masks), len(masks))


def _parities(outcomes: NDArray[np.int64], masks: NDArray[np.int64]) -> Floats:
    """+1 or -1 for each outcome and mask, (..., M)."""
    signs: Floats = 1.0 - 2.0 * (np.bitwise_count(outcomes[..., None] & masks) & 1)
    return signs


def _products(signs: Floats) -> Floats:
    """The products of each two of (..., M) signs, (..., M * M)."""
    products: Floats = signs[..., :, None] * signs[..., None, :]
    return products.reshape(*signs.shape[:-1], -1)


def _mask(observable: PauliString, n_qubits: int) -> int:
    return sum(1 << (n_qubits - 1 - qubit) for qubit, _ in observable.factors)
