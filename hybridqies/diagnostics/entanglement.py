"""How entangled pure states are, and what random states have.

States are tensors (B, 2**n) of unit norm, real or complex, qubit 0 the most significant bit.
Entropies are in bits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hybridqies.errors import InputError


def meyer_wallach(states: Tensor) -> Tensor:
    """Meyer and Wallach's Q of each state, (B,): 0 for product states, 1 for GHZ states.

    Q = 2 - (2/n) Σ_k tr ρ_k², where ρ_k is the reduced state of qubit k (Brennen, quant-ph/0305094, eq. 4).
    """
    n_qubits = count_qubits(states)
    purities = torch.stack([_qubit_purity(states, qubit) for qubit in range(n_qubits)])
    return 2 * (1 - purities.mean(0))


def _qubit_purity(states: Tensor, qubit: int) -> Tensor:
    """Tr ρ² of one qubit, (B,)."""
    zero, one = states.reshape(states.shape[0], 2**qubit, 2, -1).unbind(2)
    populations = zero.abs().square().sum((1, 2)), one.abs().square().sum((1, 2))
    coherence = (zero * one.conj()).sum((1, 2)).abs().square()
    return populations[0].square() + populations[1].square() + 2 * coherence


def schmidt_spectrum(states: Tensor, n_left: int) -> Tensor:
    """The squared Schmidt coefficients of the first `n_left` qubits against the others, (B, R), falling.

    R is 2**min(n_left, n - n_left); each row sums to one.

    Raises
    ------
    InputError: a side of the cut has no qubit.
    """
    n_qubits = count_qubits(states)
    if not 0 < n_left < n_qubits:
        raise InputError(
            f"a cut after {n_left} of {n_qubits} qubits was asked for",
            expected=f"1 to {n_qubits - 1}" if n_qubits > 1 else "states of two qubits or more",
        )
    values: Tensor = torch.linalg.svdvals(states.reshape(-1, 2**n_left, 2 ** (n_qubits - n_left)))
    return values.square()


def von_neumann_entropy(spectrum: Tensor) -> Tensor:
    """-Σ p log₂ p of each row, (B,)."""
    return -torch.xlogy(spectrum, spectrum).sum(-1) / math.log(2)


def renyi_entropy(spectrum: Tensor) -> Tensor:
    """Rényi's entropy of order two of each row, (B,): -log₂ Σ p²."""
    return -spectrum.square().sum(-1).log2()


def random_meyer_wallach(n_qubits: int) -> float:
    """The mean of Q over Haar-random states: (N - 2) / (N + 1), with N = 2**n."""
    size: int = 2**n_qubits
    return (size - 2) / (size + 1)


def random_entropy(n_left: int, n_qubits: int) -> float:
    """The mean entropy of Haar-random states across a cut, in bits (Page, gr-qc/9305007, eq. 8)."""
    few, many = sorted((2**n_left, 2 ** (n_qubits - n_left)))
    # Σ 1/k for k = many + 1 … few · many, by digamma, which does not mind how many terms there are.
    ends = torch.tensor([few * many + 1.0, many + 1.0], dtype=torch.float64)
    above, below = torch.special.digamma(ends).tolist()
    return float(above - below - (few - 1) / (2 * many)) / math.log(2)


def count_qubits(states: Tensor) -> int:
    """How many qubits the states have.

    Raises
    ------
    InputError: the shape is not (B, 2**n) with n of at least one.
    """
    size = states.shape[-1] if states.dim() == 2 else 0
    if size < 2 or size & (size - 1):
        raise InputError(
            f"states were given with shape {tuple(states.shape)}", expected="(batch, 2**n) with n ≥ 1"
        )
    return size.bit_length() - 1
