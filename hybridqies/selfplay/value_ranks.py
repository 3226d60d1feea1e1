"""The value loss of networks by the rank of states, and whether larger networks get worse anywhere.

Source: Neumann and Gros 2024 (arXiv:2412.11979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.ranks.connect_four import number_states
from hybridqies.selfplay.players import Positions
from hybridqies.selfplay.search import Evaluate, Floats, Whole

_PART = 4096
_DRAWS = 1000
PHASES = ("early, frequent", "early, rare", "late, frequent", "late, rare")
"""How states are grouped: by the moves played before, and by their rank."""


@dataclass(frozen=True, slots=True)
class LossChange:
    """How much higher the squared error of one network's values is than another's, in a group of states.

    `low` and `high` are 95 % limits, or None for a group without positions.
    """

    group: str
    n_states: int
    n_positions: int
    change: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, eq=False)
class RankedStates:
    """R different states in descending order of how often they occurred in games.

    `own` and `filled` (R,) are the boards, `counts` (R,) how often each occurred, `means` (R,) the mean
    result for the player to move, and `variances` (R,) the unbiased variance of the results, nan for states
    that occurred once. `ranks` (S,) is the rank of each position, counted from 0.
    """

    own: NDArray[np.uint64]
    filled: NDArray[np.uint64]
    counts: Whole
    means: Floats
    variances: Floats
    ranks: Whole

    @property
    def n_repeated(self) -> int:
        """How many states occurred twice or more."""
        return int((self.counts > 1).sum())


def rank_states(positions: Positions) -> RankedStates:
    """The different states of games by their frequency; those equally frequent by their number."""
    numbers = number_states(positions.own, positions.filled)
    _, first, which, counts = np.unique(numbers, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    results = positions.results.astype(np.float64)
    sums = np.bincount(which, results)
    squares = np.bincount(which, results**2)
    means = sums / counts
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = np.where(counts > 1, (squares - counts * means**2) / (counts - 1), np.nan)
    first = first[order]
    return RankedStates(
        positions.own[first],
        positions.filled[first],
        counts[order],
        means[order],
        variances[order],
        place[which],
    )


def predict_values(evaluate: Evaluate, states: RankedStates, n_states: int | None = None) -> Floats:
    """The values of the first `n_states` states, (n_states,); of all by default."""
    own, filled = states.own[:n_states], states.filled[:n_states]
    parts = [slice(at, at + _PART) for at in range(0, len(own), _PART)]
    return np.concatenate([evaluate(own[part], filled[part])[1] for part in parts])


def excess_by_rank(states: RankedStates, values: Floats, edges: Sequence[int]) -> Floats:
    """The mean of (value − expected result)² over the states of each bin of ranks, (len(edges) − 1,).

    Bin b has the ranks `edges[b]` to `edges[b + 1]` − 1, counted from 1, all of which occurred twice or more;
    a state counts as often as it occurred. The expected result is not known. The square of the difference
    from the mean result is too large by the variance of that mean, which is estimated and subtracted, so
    that the excess has no bias, and may come out negative.

    Raises
    ------
    InputError: edges that don't ascend, or go beyond the states that occurred twice.
    """
    if (
        min(edges, default=0) < 1
        or max(edges, default=0) > states.n_repeated + 1
        or (np.diff(edges) < 1).any()
    ):
        raise InputError(
            f"ranks were to be divided at {list(edges)}",
            expected=f"ascending ranks from 1 to {states.n_repeated + 1}",
            todo="choose fewer ranks, or play more games",
        )
    n_states = edges[-1] - 1
    counts = states.counts[:n_states]
    squares = (values[:n_states] - states.means[:n_states]) ** 2
    excess = squares - states.variances[:n_states] / counts
    starts = np.asarray(edges[:-1]) - 1
    sums = np.add.reduceat(excess * counts, starts)
    return np.asarray(sums / np.add.reduceat(counts.astype(np.float64), starts), dtype=np.float64)


def divide_ranks(n_states: int) -> list[int]:
    """Edges 1, 3, 10, 30, … up to one beyond the last rank; a short last bin joins the one before."""
    edges, at = [1], 3
    while 2 * at <= n_states:
        edges.append(at)
        at = 10 ** (len(edges) // 2) * (3 if len(edges) % 2 else 1)
    return [*edges, n_states + 1]


def average_remaining(excess: Floats) -> Floats:
    """What share of the excess loss (T, B) at the start was left, on average over the later times, (B,).

    The sooner and the further a loss falls, the smaller it is.
    """
    return np.asarray(excess[1:].mean(axis=0) / excess[0], dtype=np.float64)


def compare_losses(
    positions: Positions,
    states: RankedStates,
    smaller: Floats,
    larger: Floats,
    *,
    late: int = 20,
    frequent: int = 1000,
    seed: int = 0,
) -> tuple[LossChange, ...]:
    """Where the values `larger` (R,) of a network fit the results worse than those `smaller` of another do.

    A state is late after `late` moves, and frequent up to rank `frequent`. What no network can know of the
    results cancels in the difference. Limits are by a bootstrap over games.
    """
    errors = [(values[states.ranks] - positions.results) ** 2 for values in (larger, smaller)]
    changes = errors[0] - errors[1]
    groups = _group(states, late, frequent)
    of_position = groups[states.ranks]
    n_games, n_groups = int(positions.games.max()) + 1, len(PHASES)
    cells = positions.games * n_groups + of_position
    sums = np.bincount(cells, changes, n_games * n_groups).reshape(n_games, n_groups)
    counts = np.bincount(cells, minlength=n_games * n_groups).reshape(n_games, n_groups)
    drawn = np.random.default_rng(seed).multinomial(n_games, np.full(n_games, 1 / n_games), _DRAWS)
    drawn = drawn.astype(np.float64)
    with np.errstate(invalid="ignore"):
        means = (drawn @ sums) / (drawn @ counts)
    found = []
    for group, name in enumerate(PHASES):
        n_positions = int(counts[:, group].sum())
        few = not np.isfinite(means[:, group]).all()
        change = None if not n_positions else float(sums[:, group].sum() / n_positions)
        low, high = (None, None) if few else map(float, np.quantile(means[:, group], [0.025, 0.975]))
        found.append(LossChange(name, int((groups == group).sum()), n_positions, change, low, high))
    return tuple(found)


def _group(states: RankedStates, late: int, frequent: int) -> Whole:
    moves = np.bitwise_count(states.filled)
    return np.asarray(2 * (moves >= late) + (np.arange(len(moves)) >= frequent), dtype=np.int64)
