"""Gates on two registers of r levels: unitary matrices, their real form, and what they entangle."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cayley(values: Tensor) -> Tensor:
    """Unitary matrices (..., n, n) from any real ones: (1 + A)⁻¹ (1 − A), A the skew-Hermitian part.

    A = (W − Wᵀ)/2 + i (W + Wᵀ)/2 takes every skew-Hermitian matrix, once each.
    """
    skew = torch.complex((values - values.mT) / 2, (values + values.mT) / 2)
    one = torch.eye(values.shape[-1], dtype=skew.dtype, device=skew.device)
    unitary: Tensor = torch.linalg.solve(one + skew, one - skew)
    return unitary


def tensor_product(first: Tensor, second: Tensor) -> Tensor:
    """The product first ⊗ second of stacks of matrices (..., n, n) and (..., m, m)."""
    product = first[..., :, None, :, None] * second[..., None, :, None, :]
    return product.flatten(-2).flatten(-3, -2)


def swap(rank: int) -> Tensor:
    """The real matrix (r², r²) that exchanges two registers."""
    places = torch.arange(rank * rank).reshape(rank, rank).T.reshape(-1)
    return torch.eye(rank * rank)[places]


def draw_haar(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Unitary matrices (count, size, size) from the Haar measure (Mezzadri, math-ph/0609050)."""
    shape = (count, size, size)
    parts = [torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2)]
    unitary, upper = torch.linalg.qr(torch.complex(*parts))
    diagonal = upper.diagonal(dim1=-2, dim2=-1)
    fixed: Tensor = unitary * (diagonal / diagonal.abs())[:, None, :]
    return fixed


def outer(own: Tensor, earlier: Tensor) -> Tensor:
    """The product own ⊗ earlier of registers [Re, Im] of N positions, (..., 2r, N); (..., 2r², N), [Re, Im].

    Positions are the last axis here and in `real_form`, because elementwise products are fast along it.
    """
    real, imaginary = (part[..., :, None, :] for part in own.chunk(2, -2))
    other_real, other_imaginary = (part[..., None, :, :] for part in earlier.chunk(2, -2))
    product = torch.stack(
        [
            real * other_real - imaginary * other_imaginary,
            real * other_imaginary + imaginary * other_real,
        ],
        -4,
    )
    return product.flatten(-4, -2)


def real_form(gates: Tensor) -> Tensor:
    """Gates (H, r², r²) as real matrices (H, 2r², 2r²) that act on [Re, Im].

    They give the amplitudes in the order (level of the own register, Re or Im, level of the earlier one).
    """
    size = gates.shape[-1]
    rank = math.isqrt(size)
    real, imaginary = gates.real, gates.imag
    rows = torch.stack([torch.cat([real, -imaginary], -1), torch.cat([imaginary, real], -1)], -3)
    ordered: Tensor = rows.unflatten(-2, (rank, rank)).transpose(-4, -3)
    return ordered.reshape(*gates.shape[:-2], 2 * size, 2 * size)


def reduce_state(amplitudes: Tensor, rank: int) -> Tensor:
    """The reduced state of the own register, (..., N, r, r), from amplitudes (..., 2r², N) of `real_form`.

    It is Re ρ + Im ρ of ρ = M M†: a Hermitian matrix is known from that sum, since its real part is
    symmetric and its imaginary part antisymmetric. The sum of its squares is the purity tr ρ².
    """
    matrix = amplitudes.mT.unflatten(-1, (rank, 2, rank)).contiguous()
    real, imaginary = matrix.unbind(-2)
    turned = torch.cat([real + imaginary, imaginary - real], -1)
    summed: Tensor = turned @ matrix.flatten(-2).mT
    return summed


def density(summed: Tensor) -> Tensor:
    """ρ (..., r, r) from Re ρ + Im ρ."""
    return torch.complex((summed + summed.mT) / 2, (summed - summed.mT) / 2)


def renyi2(summed: Tensor) -> Tensor:
    """The Rényi-2 entropy −log tr ρ² in nats (...) of reduced states given as Re ρ + Im ρ."""
    return -summed.square().sum((-2, -1)).log()


def operator_entanglement(gates: Tensor) -> Tensor:
    """The linear operator entanglement (...) of gates (..., r², r²) (Zanardi, quant-ph/0010074).

    0 for a product u ⊗ v, and 1 − 1/r² for the swap, which is the largest value.
    """
    rank = math.isqrt(gates.shape[-1])
    regrouped = gates.unflatten(-1, (rank, rank)).unflatten(-3, (rank, rank)).transpose(-3, -2)
    singular = torch.linalg.svdvals(regrouped.flatten(-2).flatten(-3, -2))
    shares: Tensor = singular.square() / singular.square().sum(-1, keepdim=True)
    return shares.square().sum(-1).neg().add(1)
