"""Zipf's law: exponents with known answers, and Connect Four against its rules and known figures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.ranks import Weights, count_states, fit_zipf, measure_ranks, play_randomly, walk_tree
from hybridqies.ranks.connect_four import COLUMNS, ROWS, is_won, number_states


def board(squares: list[tuple[int, int]]) -> np.ndarray:
    """Columns and rows as one bit board."""
    return np.array([sum(1 << (7 * column + row) for column, row in squares)], dtype=np.uint64)


class TestFit:
    @pytest.mark.parametrize("weights", Weights)
    @pytest.mark.parametrize("exponent", [0.7, 1.0, 1.3])
    def test_recovers_an_exact_law(self, weights: Weights, exponent: float) -> None:
        counts = np.floor(1e15 * np.arange(1, 5001.0) ** -exponent).astype(np.int64)
        found = fit_zipf(counts, first=10, last=5000, weights=weights)
        assert found.exponent == pytest.approx(exponent, abs=1e-6)
        assert np.exp(found.height) == pytest.approx(1e15, rel=1e-4)
        assert found.error < 1e-6

    def test_weights_decide_where_a_law_bends(self) -> None:
        ranks = np.arange(1, 10_001.0)
        counts = np.floor(1e15 * np.where(ranks < 100, ranks**-1.0, 10 * ranks**-1.5)).astype(np.int64)
        by_weight = [fit_zipf(counts, first=1, weights=each).exponent for each in Weights]
        assert 1.0 < by_weight[2] < by_weight[1] < by_weight[0] < 1.51

    def test_counts_descend(self) -> None:
        assert count_states(np.array([7, 3, 7, 7, 9, 3], dtype=np.uint64)).tolist() == [3, 2, 1]

    @pytest.mark.parametrize(("first", "last"), [(0, 5), (5, 5), (1, 11)])
    def test_ranges_have_to_be_there(self, first: int, last: int) -> None:
        with pytest.raises(InputError, match="first < last"):
            fit_zipf(np.arange(10, 0, -1), first=first, last=last)

    def test_counts_have_to_descend(self) -> None:
        with pytest.raises(InputError, match="ascend"):
            fit_zipf(np.arange(1, 11), first=1, last=10)


def test_the_toy_tree_is_a_law_of_exponent_1() -> None:
    found = measure_ranks("toy-tree", 200_000)
    assert found["fit"]["exponent"] == pytest.approx(1.0, abs=0.03)
    assert found["moves"] == 8


def test_states_of_a_small_tree_are_all_different() -> None:
    states = walk_tree(2000, branching=2, depth=3).reshape(2000, 3)
    assert [len(np.unique(states[:, :moves])) for moves in (1, 2, 3)] == [2, 6, 14]
    with pytest.raises(InputError, match="below 2"):
        walk_tree(1, branching=100, depth=20)


class TestConnectFour:
    def test_every_four_in_a_row_is_won_and_no_three(self) -> None:
        for column, row, (right, up) in itertools.product(
            range(COLUMNS), range(ROWS), ((0, 1), (1, 0), (1, 1), (1, -1))
        ):
            line = [(column + right * step, row + up * step) for step in range(4)]
            inside = all(0 <= x < COLUMNS and 0 <= y < ROWS for x, y in line)
            if inside:
                assert is_won(board(line))[0], line
                assert not any(is_won(board(line[:at] + line[at + 1 :]))[0] for at in range(4))

    def test_lines_do_not_wrap_around_the_edges(self) -> None:
        assert not is_won(board([(0, 4), (0, 5), (1, 0), (1, 1)]))[0]
        assert not is_won(board([(0, 3), (1, 4), (2, 5), (4, 0)]))[0]

    def test_numbers_tell_owners_and_heights_apart(self) -> None:
        own, filled = board([(0, 0)]), board([(0, 0), (1, 0)])
        others = [(board([(1, 0)]), filled), (own, own), (board([(0, 1)]), board([(0, 0), (0, 1)]))]
        numbers = {int(number_states(*each)[0]) for each in [(own, filled), *others]}
        assert len(numbers) == 4

    def test_random_play_has_the_known_figures(self) -> None:
        """First player 55.6 %, 21.3 moves: standard errors of 20,000 games are 0.35 points and 0.06."""
        games = play_randomly(20_000, seed=1)
        assert (games.winners == 1).mean() == pytest.approx(0.5558, abs=0.014)
        assert games.moves.mean() == pytest.approx(21.31, abs=0.24)
        assert len(games.states) == games.moves.sum()
        assert len(np.unique(play_randomly(1000).states[:1000])) == COLUMNS

    @pytest.mark.slow
    def test_the_published_exponent_needs_no_learning(self) -> None:
        assert measure_ranks("connect-four", 300_000)["fit"]["exponent"] == pytest.approx(0.944, abs=0.02)

    def test_bad_input(self) -> None:
        with pytest.raises(InputError, match="at least 1"):
            play_randomly(0)
        with pytest.raises(UnknownNameError, match="did you mean 'connect-four'"):
            measure_ranks("conect-four", 10)
