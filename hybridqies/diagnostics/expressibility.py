"""Expressibility: how far the states that a circuit reaches are from Haar-random ones.

It is the Kullback-Leibler divergence, in nats, of the fidelities between pairs of its states from those
between pairs of random states, in 75 bins (Sim et al., arXiv:1905.10876, eq. 15 and section 3.1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hybridqies.errors import InputError

BINS = 75


def expressibility(fidelities: Tensor, n_qubits: int, bins: int = BINS) -> float:
    """The divergence of fidelities (P,), between 0 and 1, from those of random states; 0 is Haar-random.

    It is biased upwards by about (occupied bins - 1) / (2 P): `expect_of_random` is what random states
    themselves get.

    Raises
    ------
    InputError: no fidelities, or some outside 0 to 1.
    """
    if (
        fidelities.dim() != 1
        or not len(fidelities)
        or not bool(((fidelities >= 0) & (fidelities <= 1)).all())
    ):
        raise InputError("expressibility was asked of other numbers", expected="fidelities from 0 to 1")
    # The last bin holds a fidelity of one.
    places = (fidelities * bins).long().clamp(max=bins - 1)
    shares = torch.bincount(places, minlength=bins).double() / len(fidelities)
    reached = shares > 0
    logs = torch.tensor(_log_masses(n_qubits, bins), dtype=torch.float64)
    return float((shares[reached] * (shares[reached].log() - logs[reached])).sum())


def pair_fidelities(states: Tensor) -> Tensor:
    """Squared overlaps of the first half of the states with the second, (B // 2,)."""
    half = len(states) // 2
    overlaps = (states[:half].conj() * states[half : 2 * half]).sum(1)
    # Rounding may lead past one.
    return overlaps.abs().square().clamp(max=1.0)


def expect_of_random(n_qubits: int, pairs: int, bins: int = BINS) -> float:
    """What Haar-random states get from as many pairs: the mean over 20 fixed draws, which is not zero."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(20, pairs, generator=generator, dtype=torch.float64)
    # The density of a fidelity F is (N - 1)(1 - F)^(N - 2), so that 1 - F is a power of a uniform number.
    fidelities = -torch.expm1(draws.log() / (2**n_qubits - 1))
    return sum(expressibility(each, n_qubits, bins) for each in fidelities) / len(draws)


def _log_masses(n_qubits: int, bins: int) -> list[float]:
    """The logarithm of the probability that random states have a fidelity in each bin.

    The probability is (1 - a)^(N-1) - (1 - b)^(N-1) between a and b; its logarithm stays finite for any N.
    """
    power = 2**n_qubits - 1
    masses = []
    for at in range(bins):
        low, high = (bins - at) / bins, (bins - at - 1) / bins
        ratio = power * math.log(high / low) if high else -math.inf
        masses.append(power * math.log(low) + math.log(-math.expm1(ratio)))
    return masses
