"""Graph-PEPS: a tensor for each site of a graph, updated by simple update in Vidal's gauge.

Jiang, Weng, Xiang, Phys. Rev. Lett. 101, 090603 (2008); on heavy-hex lattices arXiv:2309.15642.
A bond that would outgrow χ keeps its χ largest singular values. What that discards is counted.
On trees, values are exact as long as nothing is discarded. On graphs with loops, expectations treat what
surrounds a site as if it were a tree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Pair = tuple[int, int]

# Bytes of tensors that one batched factorisation takes at once.
_AT_ONCE = 2**25
# Singular values are of a state of norm 1: smaller ones are rounding, and nothing depends on them.
_TINY = 1e-30


class GraphPEPS:
    """The state |0…0⟩ of `batch` samples on a graph, and what gates make of it.

    A site's tensor is (B, 2, D, D, …) with a bond to each neighbour, in the order of `neighbours`. It has the
    weights of all its bonds multiplied in. So each site is normalised, the state of its surroundings is the
    identity on each bond, and an update changes two tensors and the weights of one bond.

    `discarded` (B,) adds up the squares of the discarded singular values, of a state of norm 1, over all
    updates, and `largest` (B,) is the largest of these squares.
    """

    def __init__(
        self, n_sites: int, edges: Iterable[Pair], *, chi: int, batch: int, dtype: torch.dtype
    ) -> None:
        import torch

        self.chi = chi
        self.neighbours: list[list[int]] = [[] for _ in range(n_sites)]
        self.weights: dict[Pair, Tensor] = {}
        for first, second in edges:
            self.neighbours[first].append(second)
            self.neighbours[second].append(first)
            self.weights[first, second] = torch.ones(batch, 1, dtype=dtype.to_real())
        self.tensors: list[Tensor] = []
        for beside in self.neighbours:
            tensor = torch.zeros(batch, 2, *(1 for _ in beside), dtype=dtype)
            tensor[:, 0] = 1
            self.tensors.append(tensor)
        self.discarded = torch.zeros(batch, dtype=dtype.to_real())
        self.largest = torch.zeros_like(self.discarded)

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def turn(self, matrices: Mapping[int, Tensor]) -> None:
        """Applies a one-qubit gate, (B or 1, 2, 2), to each of these sites."""
        for site, matrix in matrices.items():
            tensor = self.tensors[site]
            self.tensors[site] = (matrix @ tensor.reshape(len(tensor), 2, -1)).reshape(tensor.shape)

    def bond(self, phases: Mapping[Pair, Tensor]) -> None:
        """Multiplies the state by phases (B or 1, 2, 2) on edges that have no site in common."""
        groups: dict[tuple[int, ...], list[Pair]] = {}
        for pair in phases:
            groups.setdefault(self._sizes(pair), []).append(pair)
        for (first, bond, second), pairs in groups.items():
            step = max(1, _AT_ONCE // (32 * len(self.discarded) * bond * (first + second)))
            for at in range(0, len(pairs), step):
                some = pairs[at : at + step]
                self._update(some, [phases[pair] for pair in some])

    def _sizes(self, pair: Pair) -> tuple[int, int, int]:
        """Entries of the first site's other bonds, the bond itself, and entries of the second's others."""
        bond = self.weights[pair].shape[1]
        first, second = (math.prod(self.tensors[site].shape[2:]) // bond for site in pair)
        return first, bond, second

    def _axis(self, site: int, other: int) -> int:
        return 2 + self.neighbours[site].index(other)

    def _flat(self, site: int, other: int) -> Tensor:
        """A site's tensor with the bond to `other` last: (B, 2, K, D)."""
        moved = self.tensors[site].movedim(self._axis(site, other), -1)
        return moved.reshape(*moved.shape[:2], -1, moved.shape[-1])

    def _update(self, pairs: Sequence[Pair], phases: Sequence[Tensor]) -> None:
        import torch

        batch = len(self.discarded)
        firsts = torch.stack([self._flat(first, second) for first, second in pairs])
        seconds = torch.stack([self._flat(second, first) for first, second in pairs])
        weights = torch.stack([self.weights[pair] for pair in pairs])
        table = torch.stack([each.expand(batch, 2, 2) for each in phases])
        split = split_bond(firsts, seconds, weights, table, self.chi)
        self.discarded = self.discarded + split.discarded.sum(dim=0)
        self.largest = torch.maximum(self.largest, split.discarded.amax(dim=0))
        for at, (first, second) in enumerate(pairs):
            self.weights[first, second] = split.weights[at]
            self._put(first, second, split.first[at])
            self._put(second, first, split.second[at])

    def _put(self, site: int, other: int, flat: Tensor) -> None:
        axis = self._axis(site, other)
        old = self.tensors[site].shape
        others = [size for place, size in enumerate(old) if place != axis]
        # A tensor of its own: a slice would keep the whole batch of updates alive.
        self.tensors[site] = flat.reshape(*others, flat.shape[-1]).movedim(-1, axis).contiguous()


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Both sites of a bond after an update (…, 2, K, χ), its weights (…, χ), and what was discarded (…)."""

    first: Tensor
    second: Tensor
    weights: Tensor
    discarded: Tensor


def split_bond(first: Tensor, second: Tensor, weights: Tensor, phases: Tensor, chi: int) -> Split:
    """Multiplies two sites (…, 2, K, D) by phases (…, 2, 2) and cuts their bond to at most `chi` values.

    The phases are diagonal in both qubits, so each value of a qubit is reduced by itself. The matrix that is
    factorised has at most 2 D rows and columns, and the new bond at most 2 D values.
    """
    import torch

    left_basis, left = _reduce(first)
    right_basis, right = _reduce(second)
    inverse = torch.where(weights > _TINY, 1 / weights.clamp(min=_TINY), 0).to(left)
    # One block for each value of both qubits: (…, 2, r, 2, s).
    blocks = torch.einsum("...pam,...qbm->...paqb", left * inverse[..., None, None, :], right)
    blocks = blocks * phases[..., :, None, :, None]
    rows, columns = 2 * left.shape[-2], 2 * right.shape[-2]
    u, s, vh = torch.linalg.svd(blocks.reshape(*blocks.shape[:-4], rows, columns), full_matrices=False)
    kept = min(chi, 2 * first.shape[-1], rows, columns)
    total = s.square().sum(dim=-1)
    norm = torch.linalg.vector_norm(s[..., :kept], dim=-1, keepdim=True)
    new = s[..., :kept] / norm
    scale = new.to(u)[..., None, :]
    return Split(
        _expand(left_basis, u[..., :kept] * scale),
        _expand(right_basis, vh[..., :kept, :].mT * scale),
        new,
        s[..., kept:].square().sum(dim=-1) / total,
    )


def _reduce(site: Tensor) -> tuple[Tensor | None, Tensor]:
    """A basis (…, 2, K, r) of a site's other bonds, None for all of them, and the site in it (…, 2, r, D)."""
    import torch

    if site.shape[-2] <= site.shape[-1]:
        return None, site
    basis, reduced = torch.linalg.qr(site)
    return basis, reduced


def _expand(basis: Tensor | None, factor: Tensor) -> Tensor:
    """From rows (…, 2 r, χ) in a basis to (…, 2, K, χ)."""
    factor = factor.reshape(*factor.shape[:-2], 2, -1, factor.shape[-1])
    return factor if basis is None else basis @ factor
