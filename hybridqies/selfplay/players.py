"""Players, and the games that they play: against themselves to learn, against each other to be rated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hybridqies.errors import InputError
from hybridqies.ranks.connect_four import (
    COLUMNS,
    ROWS,
    Boards,
    choose_randomly,
    drop,
    find_open_columns,
    is_won,
    number_states,
)
from hybridqies.selfplay.search import Evaluate, Floats, SearchConfig, Whole, count_visits


class Player(Protocol):
    """Chooses moves."""

    def choose(self, own: Boards, filled: Boards, /) -> Whole:
        """A column that is open for each game, (N,); `own` are the squares of the player to move."""


class RandomPlayer:
    """Every column that is open is as likely."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)

    def choose(self, _own: Boards, filled: Boards, /) -> Whole:
        """A column for each game."""
        return choose_randomly(find_open_columns(filled), self._random)


@dataclass(frozen=True, slots=True)
class SearchPlayer:
    """The move that the search visits most, without noise."""

    evaluate: Evaluate
    search: SearchConfig

    def choose(self, own: Boards, filled: Boards, /) -> Whole:
        """A column for each game."""
        visits = count_visits(own, filled, self.evaluate, self.search)
        return np.asarray(visits.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """S positions of games in which somebody was to move, turn by turn.

    `own` and `filled` (S,) are the board, `after` (S,) the number of the state that the move led to,
    `policies` (S, 7) the shares of the search's visits, `results` (S,) 1, 0 or −1 for the player to move,
    `games` (S,) whose position it is.
    """

    own: Boards
    filled: Boards
    after: Boards
    policies: NDArray[np.float32]
    results: NDArray[np.float32]
    games: Whole

    def __len__(self) -> int:
        return len(self.own)


def join_positions(parts: Sequence[Positions]) -> Positions:
    """All positions one after the other; games of different parts get different numbers."""
    before = np.cumsum([0, *(int(part.games.max(initial=-1)) + 1 for part in parts)])
    games = [part.games + start for part, start in zip(parts, before, strict=False)]
    return Positions(
        np.concatenate([part.own for part in parts]),
        np.concatenate([part.filled for part in parts]),
        np.concatenate([part.after for part in parts]),
        np.concatenate([part.policies for part in parts]),
        np.concatenate([part.results for part in parts]),
        np.concatenate(games),
    )


def play_itself(
    evaluate: Evaluate,
    n_games: int,
    search: SearchConfig,
    random: np.random.Generator,
    *,
    sampled_moves: int = ROWS * COLUMNS,
) -> Positions:
    """Games of a search against itself, with noise.

    The first `sampled_moves` moves are drawn by the shares of visits; later ones are those with most visits.

    Raises
    ------
    InputError: no games.
    """
    if n_games < 1:
        raise InputError(f"{n_games} games were to be played", expected="at least 1")
    own, filled = np.zeros((2, n_games), dtype=np.uint64)
    games, winners = np.arange(n_games), np.zeros(n_games, dtype=np.int64)
    turns: list[tuple[NDArray[np.generic], ...]] = []
    for turn in range(ROWS * COLUMNS):
        visits = count_visits(own, filled, evaluate, search, random)
        shares = visits / visits.sum(axis=1, keepdims=True)
        columns = _sample(shares, random) if turn < sampled_moves else visits.argmax(axis=1)
        moved, after = drop(own, filled, columns)
        turns.append((own, filled, number_states(moved ^ after, after), shares, games))
        won = is_won(moved)
        winners[games[won]] = 1 if turn % 2 == 0 else -1
        goes_on = ~won & find_open_columns(after).any(axis=1)
        games, own, filled = games[goes_on], (moved ^ after)[goes_on], after[goes_on]
        if not len(games):
            break
    signs = np.concatenate([np.full(len(part[0]), 1 - 2 * (turn % 2)) for turn, part in enumerate(turns)])
    boards, occupied, states, policies, of_game = (np.concatenate(each) for each in zip(*turns, strict=True))
    results = (signs * winners[of_game]).astype(np.float32)
    return Positions(boards, occupied, states, policies.astype(np.float32), results, of_game)


def draw_openings(n_openings: int, n_moves: int, seed: int) -> tuple[Boards, Boards]:
    """Boards after `n_moves` random moves, as squares of the player to move and all that are filled.

    Raises
    ------
    InputError: so many moves that a game might be over.
    """
    if n_openings < 1 or not 0 <= n_moves <= 6:
        raise InputError(
            f"{n_openings} openings of {n_moves} moves were asked for", expected="at least 1 of 0 to 6 moves"
        )
    random = np.random.default_rng(seed)
    own, filled = np.zeros((2, n_openings), dtype=np.uint64)
    for _ in range(n_moves):
        moved, filled = drop(own, filled, choose_randomly(find_open_columns(filled), random))
        own = moved ^ filled
    return own, filled


def play_match(first: Player, second: Player, own: Boards, filled: Boards) -> Whole:
    """One game from each opening (N,), `first` to move: 1 where it wins, −1 where `second` wins, else 0."""
    games, results = np.arange(len(own)), np.zeros(len(own), dtype=np.int64)
    turn = 0
    while len(games):
        columns = (first if turn % 2 == 0 else second).choose(own, filled)
        moved, after = drop(own, filled, columns)
        won = is_won(moved)
        results[games[won]] = 1 if turn % 2 == 0 else -1
        goes_on = ~won & find_open_columns(after).any(axis=1)
        games, own, filled = games[goes_on], (moved ^ after)[goes_on], after[goes_on]
        turn += 1
    return results


def _sample(shares: Floats, random: np.random.Generator) -> Whole:
    limits = np.cumsum(shares, axis=1)
    limits[:, -1] = np.inf
    chosen: Whole = (random.random(len(shares))[:, None] < limits).argmax(axis=1)
    # A rounding at the end of the sum must not choose a column without visits.
    return np.where(shares[np.arange(len(shares)), chosen] > 0, chosen, shares.argmax(axis=1))
