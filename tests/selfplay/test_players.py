"""Games of self-play and matches, replayed by the rules."""

from __future__ import annotations

import numpy as np
import pytest

from hybridqies.errors import InputError
from hybridqies.ranks.connect_four import find_open_columns, is_won, number_states
from hybridqies.selfplay import (
    Positions,
    RandomPlayer,
    SearchConfig,
    SearchPlayer,
    draw_openings,
    evaluate_evenly,
    play_itself,
    play_match,
)
from hybridqies.selfplay.players import join_positions


class Stacker:
    """Drops into one column as long as it is open, then into the first open one."""

    def __init__(self, column: int) -> None:
        self.column = column

    def choose(self, _own: np.ndarray, filled: np.ndarray, /) -> np.ndarray:
        is_open = find_open_columns(filled)
        return np.where(is_open[:, self.column], self.column, is_open.argmax(axis=1))


def games_of(positions: Positions) -> list[np.ndarray]:
    """The positions of each game in their order."""
    return [np.flatnonzero(positions.games == game) for game in range(int(positions.games.max()) + 1)]


@pytest.fixture(scope="module")
def positions() -> Positions:
    return play_itself(evaluate_evenly, 40, SearchConfig(8), np.random.default_rng(0))


def test_every_game_begins_empty_and_goes_on_move_by_move(positions: Positions) -> None:
    for rows in games_of(positions):
        own, filled = positions.own[rows], positions.filled[rows]
        assert np.bitwise_count(filled).tolist() == list(range(len(rows)))
        # The stones of the player who moved, seen by the other one turn later.
        grown = own[:-1] | (filled[1:] ^ filled[:-1])
        assert (own[1:] == grown ^ filled[1:]).all()
        assert (positions.after[rows][:-1] == number_states(own[1:], filled[1:])).all()
        assert not is_won(own).any()
        assert not is_won(own ^ filled).any()


def test_results_are_those_of_the_player_to_move(positions: Positions) -> None:
    for rows in games_of(positions):
        results, n_moves = positions.results[rows], len(rows)
        assert results[-1] == (1 if n_moves < 42 or results.any() else 0)
        assert (results == results[-1] * (-1.0) ** np.arange(n_moves - 1, -1, -1)).all()


def test_policies_are_shares_over_open_columns(positions: Positions) -> None:
    assert positions.policies.sum(axis=1) == pytest.approx(1)
    assert not positions.policies[~find_open_columns(positions.filled)].any()


def test_moves_after_the_sampled_ones_are_the_most_visited() -> None:
    made = play_itself(
        evaluate_evenly, 5, SearchConfig(20, noise=0), np.random.default_rng(0), sampled_moves=0
    )
    assert len(np.unique(made.after)) == (made.games == 0).sum()


def test_joined_games_keep_apart(positions: Positions) -> None:
    both = join_positions([positions, positions])
    assert len(both) == 2 * len(positions)
    assert [len(rows) for rows in games_of(both)] == 2 * [len(rows) for rows in games_of(positions)]


def test_matches_are_scored_for_the_first_player() -> None:
    start = draw_openings(3, 0, seed=0)
    assert play_match(Stacker(0), Stacker(1), *start).tolist() == [1, 1, 1]
    assert (
        play_match(Stacker(6), SearchPlayer(evaluate_evenly, SearchConfig(200)), *start).tolist() == [-1] * 3
    )


def test_random_players_have_the_known_score() -> None:
    """The first to move wins 55.6 % and draws 0.3 %: the standard error of 4,000 games is 0.016."""
    results = play_match(RandomPlayer(0), RandomPlayer(1), *draw_openings(4000, 0, seed=0))
    assert results.mean() == pytest.approx(2 * 0.5558 - 1 + 0.0026, abs=0.064)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="0 to 6 moves"):
        draw_openings(5, 7, seed=0)
    with pytest.raises(InputError, match="at least 1"):
        play_itself(evaluate_evenly, 0, SearchConfig(), np.random.default_rng(0))
