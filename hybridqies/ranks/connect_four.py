"""Connect Four on bit boards, many games at once: 7 columns of 6 squares, each column in 7 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError

Boards = NDArray[np.uint64]

COLUMNS, ROWS = 7, 6
# The bits between squares along which four are in a row: up, across, and both diagonals.
_DIRECTIONS = (1, 7, 6, 8)
_TALL = ROWS + 1
_GAMES_AT_ONCE = 50_000
_BOTTOMS = np.array([1 << (_TALL * column) for column in range(COLUMNS)], dtype=np.uint64)
_TOPS = _BOTTOMS << np.uint64(ROWS - 1)

SQUARES: NDArray[np.uint64] = np.array(
    [_TALL * column + row for column in range(COLUMNS) for row in range(ROWS)], dtype=np.uint64
)
"""The bit of each square, column by column from the bottom."""


@dataclass(frozen=True, slots=True)
class Games:
    """N games: the states after all moves (S,), numbers of moves (N,), and winners (N,): 1, −1, or 0."""

    states: Boards
    moves: NDArray[np.int64]
    winners: NDArray[np.int64]


def play_randomly(n_games: int, *, seed: int = 0) -> Games:
    """Games in which every column that is not full is as likely as the others.

    A state is the board after a move. Its number says the squares of the player to move, and how high each
    column is filled.

    Raises
    ------
    InputError: no games.
    """
    if n_games < 1:
        raise InputError(f"{n_games} games were to be played", expected="at least 1")
    random = np.random.default_rng(seed)
    parts = [
        _play(min(_GAMES_AT_ONCE, n_games - begun), random) for begun in range(0, n_games, _GAMES_AT_ONCE)
    ]
    states, moves, winners = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Games(states, moves, winners)


def is_won(boards: Boards) -> NDArray[np.bool_]:
    """Whether the squares (N,) of one player have four in a row."""
    won = np.zeros(len(boards), dtype=np.bool_)
    for step in _DIRECTIONS:
        pairs = boards & (boards >> np.uint64(step))
        won |= (pairs & (pairs >> np.uint64(2 * step))) != 0
    return won


def find_open_columns(filled: Boards) -> NDArray[np.bool_]:
    """Which columns are not full, (N, 7)."""
    return np.asarray((filled[:, None] & _TOPS) == 0, dtype=np.bool_)


def drop(own: Boards, filled: Boards, columns: NDArray[np.int64]) -> tuple[Boards, Boards]:
    """The squares (N,) of the player who drops into `columns`, and all that are filled, after the move.

    The squares of the other player, who is next to move, are the exclusive or of both.
    """
    after = filled | (filled + _BOTTOMS[columns])
    return own | (after ^ filled), after


def choose_randomly(is_open: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.int64]:
    """One of the open columns (N, 7) for each game, all as likely."""
    rank = (random.random(len(is_open)) * is_open.sum(axis=1)).astype(np.int64)
    return np.asarray((np.cumsum(is_open, axis=1) > rank[:, None]).argmax(axis=1), dtype=np.int64)


def number_states(own: Boards, filled: Boards) -> Boards:
    """A different number for each state: adding a bit above each column makes its height readable."""
    return own + filled + np.uint64(_BOTTOMS.sum())


def _play(n_games: int, random: np.random.Generator) -> tuple[Boards, NDArray[np.int64], NDArray[np.int64]]:
    game = np.arange(n_games)
    own, filled = np.zeros((2, n_games), dtype=np.uint64)
    moves, winners = np.zeros((2, n_games), dtype=np.int64)
    states = []
    for turn in range(COLUMNS * ROWS):
        own, filled = drop(own, filled, choose_randomly(find_open_columns(filled), random))
        other = own ^ filled
        states.append(number_states(other, filled))
        moves[game] += 1
        won = is_won(own)
        winners[game[won]] = 1 if turn % 2 == 0 else -1
        goes_on = ~won
        game = game[goes_on]
        own, filled = other[goes_on], filled[goes_on]
    return np.concatenate(states), moves, winners
