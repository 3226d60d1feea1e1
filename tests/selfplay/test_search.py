"""The search against exhaustive play, and the rules that it has to keep."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from hybridqies.errors import InputError
from hybridqies.ranks.connect_four import choose_randomly, drop, find_open_columns, is_won
from hybridqies.selfplay import SearchConfig, count_visits, draw_openings, evaluate_evenly

Columns = tuple[str, ...]


@functools.cache
def solve(columns: Columns, mover: str) -> int:
    """The result of best play for the player to move, from the columns as words; tries everything."""
    results = [value_of_move(columns, at, mover) for at in range(7) if len(columns[at]) < 6]
    return max(results, default=0)


def value_of_move(columns: Columns, at: int, mover: str) -> int:
    after = (*columns[:at], columns[at] + mover, *columns[at + 1 :])
    return 1 if is_line(after, at, mover) else -solve(after, "o" if mover == "x" else "x")


def is_line(columns: Columns, at: int, mover: str) -> bool:
    """Whether the top of a column lies in four of its owner's in a row."""

    def owns(x: int, y: int) -> bool:
        return 0 <= x < 7 and 0 <= y < len(columns[x]) and columns[x][y] == mover

    top = len(columns[at]) - 1
    for right, up in ((1, 0), (0, 1), (1, 1), (1, -1)):
        run = 0
        for step in range(-3, 4):
            run = run + 1 if owns(at + right * step, top + up * step) else 0
            if run == 4:
                return True
    return False


def to_words(own: int, filled: int) -> Columns:
    """The columns of a board; "x" is the player to move."""
    return tuple(
        "".join(
            "x" if own >> (7 * column + row) & 1 else "o"
            for row in range(6)
            if filled >> (7 * column + row) & 1
        )
        for column in range(7)
    )


def late_boards(n_left: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boards of random games that have gone on until so many squares are left."""
    random = np.random.default_rng(seed)
    own, filled = np.zeros((2, 30_000), dtype=np.uint64)
    for _ in range(42 - n_left):
        moved, filled = drop(own, filled, choose_randomly(find_open_columns(filled), random))
        goes_on = ~is_won(moved)
        own, filled = (moved ^ filled)[goes_on], filled[goes_on]
    return own, filled


def test_search_plays_the_end_of_games_perfectly() -> None:
    """With six squares left the tree has no more than 6! leaves, and the search sees nearly all of it."""
    own, filled = (boards[:40] for boards in late_boards(6))
    assert len(own) == 40
    chosen = count_visits(own, filled, evaluate_evenly, SearchConfig(600)).argmax(axis=1)
    decided = 0
    for board, occupied, column in zip(own.tolist(), filled.tolist(), chosen.tolist(), strict=True):
        words = to_words(board, occupied)
        best = solve(words, "x")
        assert value_of_move(words, column, "x") == best
        decided += best != 0
    assert decided > 10


def test_wins_are_taken_and_threats_are_met() -> None:
    """Three of the player to move stand in column 2, three of the other in column 4."""
    mine, theirs = 0b111 << 14, 0b111 << 28
    boards = np.array([mine, 0b11 << 14], dtype=np.uint64)
    filled = np.array([mine | theirs, 0b11 << 14 | theirs], dtype=np.uint64)
    chosen = count_visits(boards, filled, evaluate_evenly, SearchConfig(100)).argmax(axis=1)
    assert chosen.tolist() == [2, 4]


def test_games_searched_together_are_searched_as_alone() -> None:
    own, filled = (boards[:8] for boards in late_boards(14))

    def evaluate(own: np.ndarray, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values that differ from board to board."""
        priors = np.stack([np.cos((own + filled) % np.uint64(97 + at)) + 1.5 for at in range(7)], axis=1)
        return priors, np.sin((own % np.uint64(1009)).astype(np.float64))

    config = SearchConfig(60)
    together = count_visits(own, filled, evaluate, config)
    assert (together.sum(axis=1) == 60).all()
    assert not together[~find_open_columns(filled)].any()
    for at in range(8):
        alone = count_visits(own[at : at + 1], filled[at : at + 1], evaluate, config)
        assert alone[0].tolist() == together[at].tolist()


def test_priors_steer_the_first_moves_and_values_the_others() -> None:
    start = np.zeros(1, dtype=np.uint64)

    def prefer_5(own: np.ndarray, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.tile(np.eye(7)[5], (len(own), 1)), np.zeros(len(own))

    def like_6(own: np.ndarray, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Good for whoever has the lowest square of column 6."""
        mine, other = (side >> np.uint64(42) & np.uint64(1) for side in (own, own ^ filled))
        return np.full((len(own), 7), 1 / 7), mine.astype(np.float64) - other.astype(np.float64)

    assert count_visits(start, start, prefer_5, SearchConfig(20)).tolist() == [[0, 0, 0, 0, 0, 20, 0]]
    assert count_visits(start, start, like_6, SearchConfig(100))[0].argmax() == 6


def test_noise_changes_visits_and_is_drawn_by_the_generator() -> None:
    own, filled = draw_openings(5, 4, seed=1)
    config = SearchConfig(30, noise=0.8)

    def search(seed: int) -> list[list[int]]:
        return count_visits(own, filled, evaluate_evenly, config, np.random.default_rng(seed)).tolist()

    assert search(1) == search(1) != search(2)


def test_games_that_are_over_are_refused() -> None:
    won = np.array([0b1111], dtype=np.uint64)
    with pytest.raises(InputError, match="games that go on"):
        count_visits(won, won, evaluate_evenly, SearchConfig())
    with pytest.raises(InputError, match="'simulations' was given 0"):
        SearchConfig(0)
