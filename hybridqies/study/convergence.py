"""Whether a training has come to its end, judged by its own loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WINDOW, TOLERANCE, FEWEST = 0.2, 0.05, 5


@dataclass(frozen=True, slots=True)
class Convergence:
    """The verdict and what it rests on."""

    reached: bool
    why: str


def of_history(history: Sequence[Mapping[str, Any]]) -> Convergence:
    """Judges the epochs of a training by gradients.

    The path of a training is measured in learning rate spent, not in epochs: under a schedule that ends
    near zero the loss is flat at the end wherever it stands. Converged means that over the last fifth of
    that path the loss fell by at most 5 % of its fall in all.
    """
    losses = [float(record["train_loss"]) for record in history]
    if len(losses) < FEWEST:
        return Convergence(False, f"{len(losses)} epochs are too few to tell")
    fall = losses[0] - min(losses)
    if fall <= 0:
        return Convergence(False, "the training loss never fell")
    start = _window([float(record["learning_rate"]) for record in history])
    share = (losses[start] - losses[-1]) / fall
    moved = f"over the last fifth of the learning rate spent the loss fell by {100 * share:.1f} % of its fall"
    return Convergence(abs(share) <= TOLERANCE, moved)


def of_solver(complaints: Sequence[str]) -> Convergence:
    """Judges a head with a solver of its own by what the solver complained of."""
    return Convergence(not complaints, complaints[0] if complaints else "the solver's own tolerance")


def _window(rates: Sequence[float]) -> int:
    """The last epoch after which at least the last fifth of the rate spent still lay ahead."""
    ahead, wanted = 0.0, WINDOW * sum(rates)
    for at in range(len(rates) - 1, 0, -1):
        ahead += rates[at]
        if ahead >= wanted:
            return at - 1
    return 0
