"""Ratings: closed forms, recovery, and limits that hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from hybridqies.errors import InputError
from hybridqies.selfplay import RandomPlayer, play_round_robin, rate

ELO = np.array([0.0, 150.0, -80.0, 420.0])


def expected_scores(elo: np.ndarray) -> np.ndarray:
    scores = 1 / (1 + 10 ** ((elo[None] - elo[:, None]) / 400))
    np.fill_diagonal(scores, 0)
    return scores


def test_two_players_have_the_elo_of_their_score() -> None:
    """75 of 100 points, and half a point each for the draw that is added."""
    ratings = rate(np.array([[0.0, 25.0], [75.0, 0.0]]))
    assert ratings.elo.tolist() == pytest.approx([0, 400 * np.log10(75.5 / 25.5)])
    share = 75.5 / 101
    error = 400 / np.log(10) / np.sqrt(101 * share * (1 - share))
    assert ratings.limits[1, 1] - ratings.elo[1] == pytest.approx(1.959964 * error)
    assert ratings.difference(1, 0) == pytest.approx((ratings.elo[1], *ratings.limits[:, 1]))


def test_strengths_are_recovered_from_expected_points() -> None:
    assert rate(1e9 * expected_scores(ELO)).elo == pytest.approx(ELO, abs=1e-4)


def test_a_player_who_always_wins_has_a_finite_rating() -> None:
    ratings = rate(np.array([[0.0, 0.0, 5.0], [200.0, 0.0, 200.0], [195.0, 0.0, 0.0]]))
    assert 800 < ratings.difference(1, 2)[0] < 1500
    assert ratings.elo[2] > 400


def test_limits_hold_the_truth_in_95_of_100_cases() -> None:
    """600 made-up tournaments: the standard error of the share is 0.9 points, three differences each."""
    random = np.random.default_rng(0)
    scores, held = expected_scores(ELO), []
    for _ in range(600):
        wins = np.triu(random.binomial(100, scores), 1).astype(np.float64)
        ratings = rate(wins + np.triu(100 - wins, 1).T)
        for one, other in ((1, 0), (3, 0), (3, 1)):
            _, low, high = ratings.difference(one, other)
            held.append(low <= ELO[one] - ELO[other] <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


def test_points_of_a_round_robin_add_up() -> None:
    told: list[tuple[int, int]] = []
    players = {str(seed): RandomPlayer(seed) for seed in range(3)}
    points = play_round_robin(players, n_openings=40, on_match=lambda *given: told.append(given))
    assert (points + points.T)[np.triu_indices(3, 1)].tolist() == [80, 80, 80]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least 2"):
        play_round_robin({"alone": RandomPlayer(0)})
    with pytest.raises(InputError, match="K ≥ 2"):
        rate(np.zeros((2, 3)))
