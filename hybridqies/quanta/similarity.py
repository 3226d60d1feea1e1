"""How alike the gradients of samples are, in blocks that fit into memory.

Source: Michaud et al. 2023 (arXiv:2303.13506), section 5.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridqies.errors import InputError

Floats = NDArray[np.float64]
LossOf = Callable[[int], Tensor]
"""From the number of a sample to its loss, a scalar that depends on the parameters of the model."""


class Similarity(enum.Enum):
    """How alike two gradients are: the absolute cosine, or the paper's 1 − arccos(cos) / π.

    Samples of one skill with opposite labels have opposite gradients. ABSOLUTE takes them together.
    """

    ABSOLUTE = "absolute"
    ANGULAR = "angular"


def gradient_similarity(
    model: nn.Module,
    n_samples: int,
    loss_of: LossOf,
    *,
    similarity: Similarity = Similarity.ABSOLUTE,
    leave_out: Sequence[str] = (),
    block: int = 250,
    on_sample: Callable[[int, int], None] | None = None,
) -> Floats:
    """The similarity (N, N) of the gradients of N samples, each entry between 0 and 1.

    Parameters whose names begin with one of `leave_out` (such as embeddings) don't count. Gradients of two
    blocks of samples are held at once, and those of earlier blocks are computed again. `on_sample` is called
    with how many gradients are computed and how many there are to compute.

    Raises
    ------
    InputError: no parameter is left, fewer than two samples, or a sample whose gradient is 0 or not finite.
    """
    chosen = [value for name, value in model.named_parameters() if not name.startswith(tuple(leave_out))]
    if not chosen:
        raise InputError(f"leave_out was given {', '.join(leave_out)}", expected="some parameters to be left")
    if n_samples < 2 or block < 1:
        raise InputError(
            f"gradients of {n_samples} samples were to be compared in blocks of {block}",
            expected="at least 2 samples, and blocks of 1 or more",
        )
    parts = [range(start, min(start + block, n_samples)) for start in range(0, n_samples, block)]
    total, done = sum(len(part) * (len(parts) - at) for at, part in enumerate(parts)), 0

    def tell() -> None:
        nonlocal done
        done += 1
        if on_sample is not None:
            on_sample(done, total)

    cosines = np.empty((n_samples, n_samples))
    for at, part in enumerate(parts):
        own = _directions(chosen, part, loss_of, tell)
        cosines[part.start : part.stop, part.start : part.stop] = _products(own, own)
        for other in parts[:at]:
            found = _products(own, _directions(chosen, other, loss_of, tell))
            cosines[part.start : part.stop, other.start : other.stop] = found
            cosines[other.start : other.stop, part.start : part.stop] = found.T
    np.fill_diagonal(cosines, 1)
    return np.abs(cosines) if similarity is Similarity.ABSOLUTE else 1 - np.arccos(cosines) / np.pi


def _products(own: Tensor, other: Tensor) -> Floats:
    cosines = (own @ other.T).double().cpu().numpy()
    return np.asarray(np.clip(cosines, -1, 1), dtype=np.float64)


def _directions(
    chosen: Sequence[nn.Parameter], part: range, loss_of: LossOf, tell: Callable[[], None]
) -> Tensor:
    """Gradients (b, P) of a block of samples, of norm 1."""
    rows = []
    for number in part:
        with torch.enable_grad():
            found = torch.autograd.grad(loss_of(number), chosen, allow_unused=True, materialize_grads=True)
        flat = torch.cat([each.flatten() for each in found])
        norm = float(flat.norm())
        if not 0 < norm < float("inf"):
            raise InputError(
                f"sample {number} has a gradient of norm {norm:g}",
                expected="a finite one above 0",
                todo="leave that sample out",
            )
        rows.append(flat / norm)
        tell()
    return torch.stack(rows)
