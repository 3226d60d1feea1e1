"""Losses by rank: made-up games whose expected results are known."""

from __future__ import annotations

import numpy as np
import pytest

from hybridqies.errors import InputError
from hybridqies.selfplay import Positions, compare_losses, excess_by_rank, predict_values, rank_states
from hybridqies.selfplay.value_ranks import average_remaining, divide_ranks

EXPECTED = np.array([0.6, -0.2, 0.0, 0.9])
SHARES = np.array([0.55, 0.25, 0.15, 0.05])
# Boards of 1, 2, 20 and 21 stones.
FILLED = np.array([1, 3, (1 << 20) - 1, (1 << 21) - 1], dtype=np.uint64)


def make_positions(n: int, seed: int = 0) -> tuple[Positions, np.ndarray]:
    """Positions of four states with random results, and which state each is; two positions are a game."""
    random = np.random.default_rng(seed)
    states = random.choice(4, size=n, p=SHARES)
    results = np.where(random.random(n) < (1 + EXPECTED[states]) / 2, 1, -1).astype(np.float32)
    filled = FILLED[states]
    policies = np.zeros((n, 7), dtype=np.float32)
    return Positions(filled * 0, filled, filled, policies, results, np.arange(n) // 2), states


def test_states_are_ranked_by_their_counts() -> None:
    positions, which = make_positions(4000)
    states = rank_states(positions)
    counts = np.bincount(which)
    assert states.counts.tolist() == counts.tolist()
    assert states.filled.tolist() == FILLED.tolist()
    assert (states.ranks == which).all()
    for at in range(4):
        own = positions.results[which == at].astype(np.float64)
        assert states.means[at] == pytest.approx(own.mean())
        assert states.variances[at] == pytest.approx(own.var(ddof=1))


def test_excess_has_no_bias() -> None:
    """Over 400 sets the mean excess is that of the known results; without the correction it is not."""
    values = np.array([0.5, 0.1, 0.3, 0.9])
    true = (values - EXPECTED) ** 2
    found, naive = [], []
    for seed in range(400):
        states = rank_states(make_positions(120, seed)[0])
        if states.counts.tolist() != sorted(states.counts, reverse=True) or states.n_repeated < 4:
            continue
        if states.filled.tolist() == FILLED.tolist():
            found.append(excess_by_rank(states, values, [1, 2, 3, 4, 5]))
            naive.append((values - states.means) ** 2)
    assert len(found) > 300
    errors = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - true) < 4 * errors).all()
    assert (np.mean(naive, axis=0)[1:] - true[1:] > 4 * errors[1:]).all()


def test_bins_weigh_states_by_their_counts() -> None:
    positions, _ = make_positions(4000)
    states = rank_states(positions)
    values = predict_values(lambda own, _: (np.zeros((len(own), 7)), np.full(len(own), 0.5)), states)
    single = excess_by_rank(states, values, [1, 2, 3, 4, 5])
    both = excess_by_rank(states, values, [1, 3, 5])
    assert both == pytest.approx(
        [np.average(single[part], weights=states.counts[part]) for part in (slice(2), slice(2, 4))]
    )
    for edges in ([1, 6], [0, 3], [3, 3]):
        with pytest.raises(InputError, match="ascending ranks from 1 to 5"):
            excess_by_rank(states, values, edges)


def test_changes_are_found_where_they_are() -> None:
    """The larger network knows all but the rare late state, where it is far off."""
    positions, _ = make_positions(6000)
    states = rank_states(positions)
    larger = EXPECTED.copy()
    larger[3] = -0.5
    rows = compare_losses(positions, states, np.zeros(4), larger, late=20, frequent=3)
    assert [row.group for row in rows] == ["early, frequent", "early, rare", "late, frequent", "late, rare"]
    frequent, empty, same, worse = rows
    expected = -np.average(EXPECTED[:2] ** 2, weights=SHARES[:2])
    assert frequent.low is not None
    assert frequent.high is not None
    assert frequent.low < expected < frequent.high < 0
    assert (empty.n_positions, empty.change, empty.low) == (0, None, None)
    assert same.change == 0
    assert worse.low is not None
    assert worse.high is not None
    assert 0 < worse.low < 1.4**2 - 0.9**2 < worse.high


def test_ranks_are_divided_in_steps_of_three() -> None:
    assert divide_ranks(1000) == [1, 3, 10, 30, 100, 300, 1001]
    assert divide_ranks(599) == [1, 3, 10, 30, 100, 600]
    assert divide_ranks(2) == [1, 3]


def test_what_remains_is_a_share_of_the_start() -> None:
    excess = np.array([[1.0, 4.0], [0.5, 4.0], [0.1, 2.0]])
    assert average_remaining(excess) == pytest.approx([0.3, 0.75])
