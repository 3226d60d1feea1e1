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


def number_states(own: Boards, filled: Boards) -> Boards:
    """A different number for each state: adding a bit above each column makes its height readable."""
    bottom = np.uint64(sum(1 << (_TALL * column) for column in range(COLUMNS)))
    return own + filled + bottom


def _play(n_games: int, random: np.random.Generator) -> tuple[Boards, NDArray[np.int64], NDArray[np.int64]]:
    game = np.arange(n_games)
    own, filled = np.zeros((2, n_games), dtype=np.uint64)
    heights = np.zeros((n_games, COLUMNS), dtype=np.int64)
    moves, winners = np.zeros((2, n_games), dtype=np.int64)
    states = []
    for turn in range(COLUMNS * ROWS):
        column = _choose(heights, random)
        square = np.uint64(1) << (_TALL * column + heights[np.arange(len(column)), column]).astype(np.uint64)
        heights[np.arange(len(column)), column] += 1
        own, filled = own | square, filled | square
        other = own ^ filled
        states.append(number_states(other, filled))
        moves[game] += 1
        won = is_won(own)
        winners[game[won]] = 1 if turn % 2 == 0 else -1
        goes_on = ~won
        game, heights = game[goes_on], heights[goes_on]
        own, filled = other[goes_on], filled[goes_on]
    return np.concatenate(states), moves, winners


def _choose(heights: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """A column (N,) of those that are not full."""
    is_open = heights < ROWS
    rank = (random.random(len(heights)) * is_open.sum(axis=1)).astype(np.int64)
    return np.asarray((np.cumsum(is_open, axis=1) > rank[:, None]).argmax(axis=1), dtype=np.int64)
