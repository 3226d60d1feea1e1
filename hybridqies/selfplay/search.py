"""Tree search with upper confidence bounds (PUCT) for many games at once.

Source: Silver et al. 2017 (arXiv:1712.01815).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.options import within
from hybridqies.ranks.connect_four import COLUMNS, Boards, drop, find_open_columns, is_won

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Evaluate = Callable[[Boards, Boards], tuple[Floats, Floats]]
"""From the squares (N,) of the players to move and all filled ones to priors (N, 7) and values (N,).

Priors need not be 0 at columns that are full. Values lie between −1 and 1.
"""


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """How a move is searched for.

    `exploration` is the constant of PUCT. In self-play `noise` is the share of the root's priors that is
    drawn from a Dirichlet distribution with `concentration`.
    """

    simulations: int = 32
    exploration: float = 1.5
    noise: float = 0.25
    concentration: float = 1.0

    def __post_init__(self) -> None:
        within(self, "search option", simulations=(1, 1e6), exploration=(0, 1e6))
        within(self, "search option", noise=(0, 1), concentration=(1e-6, 1e6))


def evaluate_evenly(own: Boards, _filled: Boards) -> tuple[Floats, Floats]:
    """Equal priors and values of 0: the search then knows the rules alone."""
    return np.full((len(own), COLUMNS), 1 / COLUMNS), np.zeros(len(own))


def count_visits(
    own: Boards,
    filled: Boards,
    evaluate: Evaluate,
    config: SearchConfig,
    random: np.random.Generator | None = None,
) -> Whole:
    """How often the search tried each move, (N, 7); with `random`, noise is added to the priors.

    Raises
    ------
    InputError: a game that is over.
    """
    if (is_won(own ^ filled) | is_won(own) | ~find_open_columns(filled).any(axis=1)).any():
        raise InputError("a game that is over was to be searched", expected="games that go on")
    forest = _Forest(own, filled, evaluate, config)
    if random is not None:
        forest.add_noise(random)
    for number in range(1, config.simulations + 1):
        forest.simulate(number)
    return forest.visits.reshape(len(own), -1, COLUMNS)[:, 0]


class _Forest:
    """A tree for each of N games in flat arrays; node j of game g is at g · (simulations + 1) + j."""

    def __init__(self, own: Boards, filled: Boards, evaluate: Evaluate, config: SearchConfig) -> None:
        self.evaluate, self.config = evaluate, config
        self.roots = np.arange(len(own)) * (config.simulations + 1)
        n_nodes = len(own) * (config.simulations + 1)
        self.own, self.filled = np.zeros((2, n_nodes), dtype=np.uint64)
        self.values = np.zeros(n_nodes)
        self.is_over = np.zeros(n_nodes, dtype=np.bool_)
        self.priors, self.totals = np.zeros((2, n_nodes, COLUMNS))
        self.visits, self.children = np.zeros((2, n_nodes * COLUMNS), dtype=np.int64)
        self.own[self.roots], self.filled[self.roots] = own, filled
        self._look_at(self.roots)

    def add_noise(self, random: np.random.Generator) -> None:
        """Mixes draws into the priors of the roots, over the columns that are open."""
        is_open = find_open_columns(self.filled[self.roots])
        drawn = np.where(is_open, random.gamma(self.config.concentration, size=is_open.shape), 0)
        # Draws of a small concentration may all be 0.
        drawn /= np.maximum(drawn.sum(axis=1, keepdims=True), 1e-300)
        kept = 1 - self.config.noise
        self.priors[self.roots] = kept * self.priors[self.roots] + self.config.noise * drawn

    def simulate(self, number: int) -> None:
        """Goes down every tree to a move that was not tried or an end, and counts its value on the path."""
        path, leaves, depths = self._descend(number)
        values = self.values[leaves]
        totals = self.totals.reshape(-1)
        for depth, (games, edges) in enumerate(path):
            # A value is that of the player to move at the leaf; players alternate.
            sign = 1 - 2 * ((depths[games] - depth) % 2)
            totals[edges] += sign * values[games]
            self.visits[edges] += 1

    def _descend(self, number: int) -> tuple[list[tuple[Whole, Whole]], Whole, Whole]:
        """The edges of each depth with their games, the last nodes (N,), and their depths (N,)."""
        nodes, depths = self.roots.copy(), np.zeros_like(self.roots)
        games, path, fresh = np.arange(len(nodes)), [], []
        while len(games):
            at = nodes[games]
            columns = self._choose(at)
            edges = at * COLUMNS + columns
            path.append((games, edges))
            depths[games] += 1
            children = self.children[edges]
            # A root is nobody's child, so that 0 marks a move that was not tried.
            is_new = children == 0
            new = games[is_new]
            children[is_new] = self.children[edges[is_new]] = self.roots[new] + number
            fresh.append((at[is_new], columns[is_new], children[is_new]))
            nodes[games] = children
            games = games[~is_new & ~self.is_over[children]]
        parents, columns, made = (np.concatenate(each) for each in zip(*fresh, strict=True))
        self._grow(parents, columns, made)
        return path, nodes, depths

    def _choose(self, nodes: Whole) -> Whole:
        visits = self.visits.reshape(-1, COLUMNS)[nodes]
        means = self.totals[nodes] / np.maximum(visits, 1)
        # One more than the visits: otherwise the first move would ignore the priors.
        scale = self.config.exploration * np.sqrt(visits.sum(axis=1, keepdims=True) + 1)
        bounds = means + scale * self.priors[nodes] / (1 + visits)
        bounds[~find_open_columns(self.filled[nodes])] = -np.inf
        return np.asarray(bounds.argmax(axis=1), dtype=np.int64)

    def _grow(self, parents: Whole, columns: Whole, made: Whole) -> None:
        own, filled = drop(self.own[parents], self.filled[parents], columns)
        self.own[made], self.filled[made] = own ^ filled, filled
        won = is_won(own)
        self.values[made[won]] = -1.0
        self.is_over[made] = won | ~find_open_columns(filled).any(axis=1)
        self._look_at(made[~self.is_over[made]])

    def _look_at(self, nodes: Whole) -> None:
        if len(nodes):
            priors, self.values[nodes] = self.evaluate(self.own[nodes], self.filled[nodes])
            priors = np.where(find_open_columns(self.filled[nodes]), priors, 0)
            self.priors[nodes] = priors / np.maximum(priors.sum(axis=1, keepdims=True), 1e-300)
