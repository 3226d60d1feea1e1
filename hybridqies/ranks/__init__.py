"""Zipf's law in games: how frequent board states are by rank, in a toy tree and in Connect Four."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.ranks.connect_four import play_randomly
    from hybridqies.ranks.frequencies import Weights, ZipfFit, count_states, fit_zipf
    from hybridqies.ranks.measure import GAMES, measure_ranks
    from hybridqies.ranks.toy_tree import walk_tree

__all__ = [
    "GAMES",
    "Weights",
    "ZipfFit",
    "count_states",
    "fit_zipf",
    "measure_ranks",
    "play_randomly",
    "walk_tree",
]

__getattr__, __dir__ = import_lazily(
    __name__, __all__, ("frequencies", "toy_tree", "connect_four", "measure")
)
