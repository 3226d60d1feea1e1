"""From embeddings to a few uncorrelated numbers of equal spread, fitted to the training set."""

from __future__ import annotations

import enum

import torch
from torch import Tensor

from hybridqies.errors import InputError

# Directions that vary less than this, relative to the one that varies most, hold rounding errors.
_NO_SPREAD = 1e-6


class Reduce(enum.Enum):
    """How D numbers become F: their first principal components, or the columns as they are (D at most F)."""

    PCA = "pca"
    COLUMNS = "columns"


@torch.no_grad()
def fit_directions(embeddings: Tensor, count: int, rule: Reduce) -> tuple[Tensor, Tensor]:
    """The mean (D,) of embeddings (N, D), and `count` directions (F, D) on which they have unit variance.

    In float64. Directions on which nothing varies, and those beyond min(N, D), are 0.

    Raises
    ------
    InputError: more columns than `count`, which `Reduce.COLUMNS` cannot reduce.
    """
    rows = embeddings.double()
    mean = rows.mean(dim=0)
    if rule is Reduce.COLUMNS:
        axes, spread = torch.eye(rows.shape[1]).to(rows), rows.std(dim=0, correction=0)
    else:
        axes, spread = _principal(rows - mean, count)
    if len(axes) > count:
        raise InputError(
            f"{len(axes)} columns were given to a circuit of {count} features with reduce=columns",
            expected=f"at most {count} columns",
            todo="use reduce=pca or more qubits",
        )
    varies = spread > _NO_SPREAD * spread.max()
    scale = torch.where(varies, spread, torch.ones_like(spread)).reciprocal() * varies
    directions = rows.new_zeros(count, rows.shape[1])
    directions[: len(axes)] = axes * scale[:, None]
    return mean, directions


def _principal(centred: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first principal axes (F, D), largest entries positive, and the standard deviations along them."""
    n_rows, n_columns = centred.shape
    if n_rows >= n_columns:
        values, vectors = torch.linalg.eigh(centred.T @ centred / n_rows)
        axes, spread = vectors.T.flip(0), values.flip(0).clamp(min=0).sqrt()
    else:
        _, values, axes = torch.linalg.svd(centred, full_matrices=False)
        spread = values / n_rows**0.5
    axes, spread = axes[:count], spread[:count]
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    return axes * largest.sign(), spread
