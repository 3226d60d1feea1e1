"""Matrix-product operators: a matrix as a chain of small tensors, one for each pair of its indices.

Novikov et al., Tensorizing Neural Networks (arXiv:1509.06569); Oseledets, Tensor-Train Decomposition (2011).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridqies.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class MPO:
    """A matrix of ∏ out × ∏ in entries as cores of shape (left bond, out, in, right bond).

    Row and column indices are split with the first site as the most significant digit. The bonds at both ends
    are 1, and the right bond of each core is the left bond of the next.
    """

    cores: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        bonds = [1, *(core.shape[-1] for core in self.cores)]
        lefts = [core.shape[0] for core in self.cores]
        if not self.cores or any(core.ndim != 4 for core in self.cores) or [*lefts, 1] != bonds:
            raise InputError(
                f"cores of shapes {[tuple(core.shape) for core in self.cores]} make no chain",
                expected="shapes (left, out, in, right), equal bonds between neighbours and 1 at the ends",
            )

    @classmethod
    def from_matrix(
        cls, matrix: Tensor, out_dims: Sequence[int], in_dims: Sequence[int], chi: int | None = None
    ) -> MPO:
        """The MPO that TT-SVD finds, with bonds of at most `chi` (None: exact).

        A matrix with fewer rows than ∏ out_dims or fewer columns than ∏ in_dims is padded with zeros.
        Each bond is as `bond_dimensions` says, whatever the rank of the matrix is.

        Raises
        ------
        InputError: the dimensions do not match or are too small for the matrix, or `chi` is not positive.
        """
        import torch

        bonds = bond_dimensions(out_dims, in_dims, chi)
        rest = split_indices(pad(matrix, out_dims, in_dims), out_dims, in_dims)
        cores, left = [], 1
        for site, right in enumerate(bonds):
            U, S, Vh = torch.linalg.svd(rest.reshape(left * out_dims[site] * in_dims[site], -1), False)
            cores.append(U[:, :right].reshape(left, out_dims[site], in_dims[site], right))
            rest, left = S[:right, None] * Vh[:right], right
        cores.append(rest.reshape(left, out_dims[-1], in_dims[-1], 1))
        return cls(tuple(cores))

    @property
    def out_dims(self) -> tuple[int, ...]:
        """How the row index is split."""
        return tuple(core.shape[1] for core in self.cores)

    @property
    def in_dims(self) -> tuple[int, ...]:
        """How the column index is split."""
        return tuple(core.shape[2] for core in self.cores)

    @property
    def bonds(self) -> tuple[int, ...]:
        """The dimensions of the bonds between the sites."""
        return tuple(core.shape[3] for core in self.cores[:-1])

    @property
    def n_parameters(self) -> int:
        """How many numbers the cores hold."""
        return sum(core.numel() for core in self.cores)

    def to_matrix(self) -> Tensor:
        """The matrix, (∏ out, ∏ in), padding included; differentiable in the cores."""
        return contract(self.cores)[0, :, :, 0]


def contract(cores: Sequence[Tensor]) -> Tensor:
    """Neighbouring cores as one: (left, ∏ out, ∏ in, right)."""
    import torch

    whole = cores[0]
    for core in cores[1:]:
        left, rows, columns, _ = whole.shape
        _, out, within, right = core.shape
        joined = torch.tensordot(whole, core, dims=1).permute(0, 1, 3, 2, 4, 5)
        whole = joined.reshape(left, rows * out, columns * within, right)
    return whole


def bond_dimensions(out_dims: Sequence[int], in_dims: Sequence[int], chi: int | None = None) -> list[int]:
    """The bond after each site but the last: `chi`, or less where the sites on one side have fewer entries.

    Raises
    ------
    InputError: the two splits are not positive numbers for the same number of sites, or `chi` is below 1.
    """
    if len(out_dims) != len(in_dims) or not out_dims or min(*out_dims, *in_dims) < 1:
        raise InputError(
            f"a matrix cannot be split into {tuple(out_dims)} × {tuple(in_dims)}",
            expected="the same number of positive dimensions for rows and columns",
        )
    if chi is not None and chi < 1:
        raise InputError(f"chi was given as {chi}", expected="a positive bond dimension")
    sizes = [out * within for out, within in zip(out_dims, in_dims, strict=True)]
    exact = [min(math.prod(sizes[:site]), math.prod(sizes[site:])) for site in range(1, len(sizes))]
    return exact if chi is None else [min(chi, bond) for bond in exact]


def count_parameters(out_dims: Sequence[int], in_dims: Sequence[int], chi: int | None = None) -> int:
    """Parameters of an MPO: the sum over the sites of left bond · out · in · right bond."""
    bonds = [1, *bond_dimensions(out_dims, in_dims, chi), 1]
    sites = zip(bonds, out_dims, in_dims, bonds[1:], strict=False)
    return sum(left * out * within * right for left, out, within, right in sites)


def pad(matrix: Tensor, out_dims: Sequence[int], in_dims: Sequence[int]) -> Tensor:
    """The matrix with zeros below and to the right, (∏ out_dims, ∏ in_dims).

    Raises
    ------
    InputError: the matrix is larger than that.
    """
    from torch.nn.functional import pad as add_zeros

    rows, columns = math.prod(out_dims), math.prod(in_dims)
    if matrix.ndim != 2 or matrix.shape[0] > rows or matrix.shape[1] > columns:
        raise InputError(
            f"{tuple(matrix.shape)} numbers cannot be split into {tuple(out_dims)} × {tuple(in_dims)}",
            expected=f"at most {rows} rows and {columns} columns",
        )
    return add_zeros(matrix, (0, columns - matrix.shape[1], 0, rows - matrix.shape[0]))


def split_indices(matrix: Tensor, out_dims: Sequence[int], in_dims: Sequence[int]) -> Tensor:
    """A matrix as a tensor with one index of out · in entries for each site."""
    sites = len(out_dims)
    order = [axis for site in range(sites) for axis in (site, sites + site)]
    sizes = [out * within for out, within in zip(out_dims, in_dims, strict=True)]
    return matrix.reshape(*out_dims, *in_dims).permute(order).reshape(sizes)
