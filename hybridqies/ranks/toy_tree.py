"""A game without transpositions: a tree in which every move is as likely as the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError


def walk_tree(n_games: int, *, branching: int = 7, depth: int = 8, seed: int = 0) -> NDArray[np.uint64]:
    """The states (n_games · depth,) of random games, each as a number of its own.

    All b^d states after d moves are equally frequent, n / b^d, and have ranks up to about b^d: the frequency
    falls as 1 / rank, in steps.

    Raises
    ------
    InputError: sizes below 1, or a tree with more states than there are numbers.
    """
    if min(n_games, branching, depth) < 1 or (branching + 1) ** depth >= 2**63:
        raise InputError(
            f"a tree was given {n_games} games, branching {branching} and depth {depth}",
            expected="numbers from 1 on, and (branching + 1)^depth below 2^63",
        )
    moves = np.random.default_rng(seed).integers(1, branching + 1, (n_games, depth), dtype=np.uint64)
    # Digits from 1 on: no state of fewer moves has the same number.
    states = np.zeros((n_games, depth), dtype=np.uint64)
    state = np.zeros(n_games, dtype=np.uint64)
    for move in range(depth):
        state = state * np.uint64(branching + 1) + moves[:, move]
        states[:, move] = state
    return states.reshape(-1)
