"""Elo ratings of players from a round robin, by the Bradley–Terry model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.selfplay.players import Player, draw_openings, play_match

Floats = NDArray[np.float64]
OnMatch = Callable[[int, int], None]
"""Called with how many matches are played and how many there are."""

ELO_OF_LOGIT = 400 / np.log(10)
_NORMAL_95 = 1.959963984540054
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Ratings:
    """Elo ratings (K,) with 95 % limits; the first player has 0.

    `covariance` (K, K) is that of the errors; of a difference it tells more than the limits do.
    """

    elo: Floats
    covariance: Floats

    @property
    def limits(self) -> Floats:
        """Lower and upper limits, (2, K)."""
        errors = _NORMAL_95 * np.sqrt(self.covariance.diagonal())
        return np.stack([self.elo - errors, self.elo + errors])

    def difference(self, one: int, other: int) -> tuple[float, float, float]:
        """How much higher `one` is rated than `other`, with its 95 % limits."""
        contrast = np.zeros(len(self.elo))
        contrast[one] += 1
        contrast[other] -= 1
        middle = float(contrast @ self.elo)
        error = _NORMAL_95 * float(np.sqrt(contrast @ self.covariance @ contrast))
        return middle, middle - error, middle + error


def play_round_robin(
    players: Mapping[str, Player],
    *,
    n_openings: int = 100,
    n_moves: int = 4,
    seed: int = 0,
    on_match: OnMatch | None = None,
) -> Floats:
    """The points (K, K) of each player against each other: 1 for a win and 1/2 for a draw.

    Every two players play each opening twice, each once as the first to move.

    Raises
    ------
    InputError: fewer than two players.
    """
    if len(players) < 2:
        raise InputError(f"{len(players)} players were given", expected="at least 2")
    openings = draw_openings(n_openings, n_moves, seed)
    points = np.zeros((len(players), len(players)))
    pairs = list(itertools.combinations(enumerate(players.values()), 2))
    for done, ((one, player), (other, opponent)) in enumerate(pairs, 1):
        results = np.concatenate(
            [play_match(player, opponent, *openings), -play_match(opponent, player, *openings)]
        )
        points[one, other] = (1 + results).sum() / 2
        points[other, one] = (1 - results).sum() / 2
        if on_match is not None:
            on_match(done, len(pairs))
    return points


def rate(points: Floats) -> Ratings:
    """Ratings by maximum likelihood, with one more draw between every two players.

    The draw keeps the rating of a player finite who wins or loses every game. Limits come from the curvature
    of the likelihood. They count a draw as half a win and half a loss, which makes them wider than they
    have to be.

    Raises
    ------
    InputError: no square matrix of points ≥ 0.
    """
    n_players = len(points)
    if points.shape != (n_players, n_players) or n_players < 2 or not (points >= 0).all():
        raise InputError(
            f"points of shape {points.shape} were to be rated", expected="(K, K) with K ≥ 2, all at least 0"
        )
    points = points + 0.5 * (1 - np.eye(n_players))
    games = points + points.T
    strengths = np.zeros(n_players)
    for _ in range(_STEPS):
        expected, information = _curvature(games, strengths)
        step = np.linalg.solve(information[1:, 1:], (points - games * expected).sum(axis=1)[1:])
        # Far from the maximum a whole step may go too far.
        strengths[1:] += step * min(1.0, 1.0 / np.abs(step).max(initial=1e-300))
        if np.abs(step).max() < 1e-12:
            break
    covariance = np.zeros((n_players, n_players))
    covariance[1:, 1:] = np.linalg.inv(_curvature(games, strengths)[1][1:, 1:])
    return Ratings(ELO_OF_LOGIT * strengths, ELO_OF_LOGIT**2 * covariance)


def _curvature(games: Floats, strengths: Floats) -> tuple[Floats, Floats]:
    """The expected score of a game, and the negative second derivatives of the likelihood; both (K, K)."""
    expected = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))
    np.fill_diagonal(expected, 0)
    information = -games * expected * expected.T
    np.fill_diagonal(information, -information.sum(axis=1))
    return expected, information
