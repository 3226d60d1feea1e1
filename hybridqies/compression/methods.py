"""Ways to write a weight with fewer numbers, in one table, and the controls that they are held against.

Every method gives a matrix-product operator, which may have a circuit on each side. A product of two matrices
is an operator as well, with the sites (1, rows) × (columns, 1).
Sources: CompactifAI (arXiv:2401.14109) for `mpo`; SVD-LLM (arXiv:2403.07378) for `wsvd`;
arXiv:2410.17397 for `disentangled`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import within
from hybridqies.tensornet import (
    MPO,
    Brickwork,
    Disentangled,
    count_parameters,
    count_qubits,
    disentangle,
    improve,
    qubit_sites,
    squared_error,
)

if TYPE_CHECKING:
    from torch import Tensor

DAMPING = 1e-3
"""What is added to the diagonal of the covariance of the activations, in parts of its mean."""

SWEEPS = 2

Sites = tuple[tuple[int, ...], tuple[int, ...]]
Fitted = MPO | Disentangled


@dataclass(frozen=True)
class CircuitOptions:
    """The circuits of `disentangled`: layers of gates, sweeps at most, and what an angle counts as."""

    depth: int = 2
    sweeps: int = 20
    price: float = 1.0

    def __post_init__(self) -> None:
        within(self, "option of circuits", depth=(0, 1e3), sweeps=(0, 1e6), price=(0, 1e6))


@dataclass(frozen=True, eq=False)
class Problem:
    """A weight (rows, columns) in float64, how it is split, the bond dimension, and the damped covariance."""

    weight: Tensor
    sites: Sites
    chi: int
    covariance: Tensor | None = None
    seed: int = 0
    circuits: CircuitOptions = CircuitOptions()


@dataclass(frozen=True)
class Method:
    """One row of the table.

    `is_split`: rows and columns are split into sites. `has_circuits`: there is one on each side.
    `has_size`: the share of parameters can be chosen.
    `trains`: it keeps numbers that can be trained.
    `rebuilds`: multiplying by the cores one after the other is slower than rebuilding the weight.
    """

    fit: Callable[[Problem], Fitted]
    meaning: str
    needs_activations: bool = False
    is_split: bool = False
    has_circuits: bool = False
    has_size: bool = True
    trains: bool = True
    rebuilds: bool = False


def low_rank(problem: Problem) -> MPO:
    """The best product of two matrices in the plain norm."""
    return MPO.from_matrix(problem.weight, *problem.sites, problem.chi)


def weighted_low_rank(problem: Problem) -> MPO:
    """The best product of two matrices for the outputs: SVD of W L with C = L Lᵀ, and L⁻¹ put back."""
    import torch

    root = torch.linalg.cholesky(_covariance(problem))
    first, second = MPO.from_matrix(problem.weight @ root, *problem.sites, problem.chi).cores
    back = torch.linalg.solve_triangular(root.mT, first[0, 0], upper=True)
    return MPO((back[None, None], second))


def weighted_mpo(problem: Problem) -> MPO:
    """An MPO fitted to the outputs, by least squares on one core at a time.

    It starts from the better of the plain MPO and one of the weight scaled, site by site, by the covariance.
    Its error on the outputs is never larger than that of either.
    """
    covariance = _covariance(problem)
    starts = [low_rank(problem), _scaled_start(problem, covariance)]
    start = min(starts, key=lambda mpo: squared_error(mpo, problem.weight, covariance))
    return improve(start, problem.weight, covariance, sweeps=SWEEPS)


def between_circuits(problem: Problem) -> Disentangled:
    """An MPO between two brickwork circuits, in the plain norm."""
    return disentangle(problem.weight, problem.chi, problem.circuits.depth, problem.circuits.sweeps)


def zero(problem: Problem) -> MPO:
    """The layer without its weight."""
    rows, columns = problem.weight.shape
    return MPO((problem.weight.new_empty(1, 1, columns, 0), problem.weight.new_empty(0, rows, 1, 1)))


def gaussian(problem: Problem) -> MPO:
    """A random matrix of equal norm."""
    import torch

    generator = torch.Generator().manual_seed(problem.seed)
    drawn = torch.randn(problem.weight.shape, generator=generator, dtype=problem.weight.dtype)
    drawn = drawn.to(problem.weight.device)
    return MPO((drawn[None, :, :, None] * (problem.weight.norm() / drawn.norm()),))


METHODS: dict[str, Method] = {
    "svd": Method(low_rank, "two factors, by SVD"),
    "wsvd": Method(
        weighted_low_rank, "two factors, by SVD in the norm of the activations", needs_activations=True
    ),
    "mpo": Method(low_rank, "matrix-product operator, by TT-SVD", is_split=True, rebuilds=True),
    "wmpo": Method(
        weighted_mpo,
        "matrix-product operator fitted in the norm of the activations",
        needs_activations=True,
        is_split=True,
        rebuilds=True,
    ),
    "disentangled": Method(
        between_circuits,
        "matrix-product operator between two circuits of two-qubit gates",
        has_circuits=True,
        rebuilds=True,
    ),
    "zero": Method(zero, "control: no weight at all", has_size=False, trains=False),
    "gaussian": Method(gaussian, "control: a random matrix of equal norm", has_size=False, rebuilds=True),
}


def find_method(name: str) -> Method:
    """The row of that name, or UnknownNameError with the nearest."""
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS)
    return METHODS[name]


def approximate(
    weight: Tensor,
    method: str,
    keep: float,
    covariance: Tensor | None = None,
    *,
    n_sites: int = 2,
    seed: int = 0,
    circuits: CircuitOptions | None = None,
) -> Fitted:
    """A weight (rows, columns) with at most the share `keep` of its numbers, in float64.

    `covariance` (columns, columns) is the mean of x xᵀ over the inputs x of the layer. `circuits` are the
    options of `disentangled`.

    Raises
    ------
    InputError: no such method, a share out of range or too small, widths that cannot be split, or a method
    that needs the covariance without one.
    """
    row = find_method(method)
    target = weight.detach().double()
    sites = choose_sites(tuple(target.shape), row, n_sites)
    damped = None
    if row.needs_activations:
        if covariance is None:
            raise InputError(
                f"method {method!r} was used without activations", expected="texts to calibrate with"
            )
        damped = damp(covariance)
    options = circuits or CircuitOptions()
    spent = price_circuits(tuple(target.shape), options) if row.has_circuits else 0.0
    chi = choose_bond(tuple(target.shape), sites, keep, spent) if row.has_size else 1
    return row.fit(Problem(target, sites, chi, damped, seed, options))


def count_numbers(fitted: Fitted, price: float = 1.0) -> float:
    """The numbers that a fit holds, with `price` for each angle of a circuit."""
    if isinstance(fitted, Disentangled):
        return fitted.count_parameters(price)
    return fitted.n_parameters


def price_circuits(shape: tuple[int, ...], options: CircuitOptions) -> float:
    """What the angles of both circuits count as."""
    sides = [Brickwork.identity(count_qubits(size), options.depth) for size in shape]
    return options.price * sum(side.n_angles for side in sides)


def choose_bond(shape: tuple[int, ...], sites: Sites, keep: float, spent: float = 0.0) -> int:
    """The largest bond dimension whose parameters, with those `spent`, are at most the share `keep`.

    It is ⌊keep · rows · columns / (rows + columns)⌋ for two factors and
    ⌊keep · rows · columns / (o₁ i₁ + o₂ i₂)⌋ for two sites.

    Raises
    ------
    InputError: `keep` is not in (0, 1], or even a bond of 1 takes more.
    """
    check_share(keep)
    allowed = keep * math.prod(shape) - spent
    low, high = 0, math.prod(shape)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_parameters(*sites, middle) <= allowed else (low, middle - 1)
    if low == 0:
        least = (count_parameters(*sites, 1) + spent) / math.prod(shape)
        raise InputError(
            f"keep {keep} leaves nothing of a {shape[0]} × {shape[1]} matrix",
            expected=f"at least {least:.4f}",
        )
    return min(low, max(_largest_bond(sites), 1))


def check_share(keep: float) -> None:
    """Refuses a share outside (0, 1] with an InputError."""
    if not 0 < keep <= 1:
        raise InputError(f"keep was given as {keep}", expected="a share of parameters, above 0 and up to 1")


def choose_sites(shape: tuple[int, ...], method: Method, n_sites: int) -> Sites:
    """How rows and columns are split: into qubits, into near-equal parts, or not at all for two factors."""
    rows, columns = shape
    if method.has_circuits:
        return qubit_sites(rows, columns)
    if not method.is_split:
        # Columns first, so that a layer multiplies by the narrow factor before the wide one.
        return (1, rows), (columns, 1)
    return factor(rows, n_sites), factor(columns, n_sites)


def factor(width: int, n_sites: int) -> tuple[int, ...]:
    """`width` as a product of `n_sites` factors, as equal as its divisors allow, in rising order.

    Raises
    ------
    InputError: it has too few divisors, or `n_sites` is below 2.
    """
    if n_sites < 2:
        raise InputError(f"{n_sites} sites were asked for", expected="2 or more")
    rest, factors = width, []
    for left in range(n_sites, 0, -1):
        ideal = rest ** (1 / left)
        divisors = [each for each in range(1, rest + 1) if rest % each == 0]
        factors.append(min(divisors, key=lambda each: abs(math.log(each / ideal))) if left > 1 else rest)
        rest //= factors[-1]
    if min(factors) == 1:
        raise InputError(
            f"width {width} is not a product of {n_sites} factors",
            expected="a width with enough divisors",
            todo="use fewer sites, or svd or wsvd",
        )
    return tuple(sorted(factors))


def damp(covariance: Tensor) -> Tensor:
    """The covariance in float64 with `DAMPING` of its mean diagonal added, which makes it invertible."""
    import torch

    plain = covariance.double()
    added = DAMPING * float(plain.diagonal().mean()) or 1.0
    return plain + added * torch.eye(len(plain), dtype=plain.dtype, device=plain.device)


def _covariance(problem: Problem) -> Tensor:
    assert problem.covariance is not None
    return problem.covariance


def _scaled_start(problem: Problem, covariance: Tensor) -> MPO:
    """TT-SVD of W (L₁ ⊗ L₂ ⊗ …), and each Lₖ⁻¹ put back into its site; Lₖ Lₖᵀ is the covariance of site k."""
    import torch

    roots = [torch.linalg.cholesky(each) for each in _site_covariances(covariance, problem.sites[1])]
    scale = roots[0]
    for root in roots[1:]:
        scale = torch.kron(scale, root)
    scaled = MPO.from_matrix(problem.weight @ scale, *problem.sites, problem.chi)
    back = [
        torch.einsum("loir,ij->lojr", core, torch.linalg.inv(root))
        for core, root in zip(scaled.cores, roots, strict=True)
    ]
    return MPO(tuple(back))


def _site_covariances(covariance: Tensor, dims: Sequence[int]) -> list[Tensor]:
    """The covariance of each site's index, the others traced out."""
    found = []
    for site, dim in enumerate(dims):
        before, after = math.prod(dims[:site]), math.prod(dims[site + 1 :])
        apart = covariance.reshape(before, dim, after, before, dim, after)
        found.append(apart.diagonal(dim1=0, dim2=3).diagonal(dim1=1, dim2=3).sum((-1, -2)))
    return found


def _largest_bond(sites: Sites) -> int:
    from hybridqies.tensornet import bond_dimensions

    return max(bond_dimensions(*sites), default=1)
