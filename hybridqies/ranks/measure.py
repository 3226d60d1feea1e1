"""A ranking of states from random games, and its exponent, as one record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import UnknownNameError
from hybridqies.options import to_mapping
from hybridqies.ranks.connect_four import play_randomly
from hybridqies.ranks.frequencies import Weights, count_states, fit_zipf
from hybridqies.ranks.toy_tree import walk_tree

_CURVE_POINTS = 400


def _play_tree(n_games: int, seed: int) -> NDArray[np.uint64]:
    return walk_tree(n_games, seed=seed)


def _play_connect_four(n_games: int, seed: int) -> NDArray[np.uint64]:
    return play_randomly(n_games, seed=seed).states


GAMES: dict[str, Callable[[int, int], NDArray[np.uint64]]] = {
    "connect-four": _play_connect_four,
    "toy-tree": _play_tree,
}
"""From a number of games and a seed to the states that occurred."""


def measure_ranks(
    game: str,
    n_games: int,
    *,
    first: int = 100,
    last: int = 10_000,
    weights: Weights = Weights.RANK,
    seed: int = 0,
) -> dict[str, Any]:
    """Plays random games and fits the frequencies of their states by rank; as JSON values.

    Raises
    ------
    UnknownNameError: no game has that name.
    InputError: no games, or a range beyond the ranks there are.
    """
    if game not in GAMES:
        raise UnknownNameError("game", game, GAMES)
    states = GAMES[game](n_games, seed)
    counts = count_states(states)
    fit = fit_zipf(counts, first=first, last=last, weights=weights)
    shown = np.unique(np.geomspace(1, len(counts), _CURVE_POINTS).astype(np.int64))
    return {
        "game": game,
        "games": n_games,
        "seed": seed,
        "moves": len(states) / n_games,
        "states": len(counts),
        "fit": to_mapping(fit),
        "curve": [[int(rank), int(counts[rank - 1])] for rank in shown],
    }
