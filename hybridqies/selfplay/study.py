"""What a run of self-play shows: ratings, and losses by rank, each as one record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hybridqies.errors import InputError
from hybridqies.options import to_mapping
from hybridqies.ranks import Weights, count_states, fit_zipf
from hybridqies.selfplay.net import count_parameters, evaluate_with
from hybridqies.selfplay.players import Player, RandomPlayer, SearchPlayer, join_positions, play_itself
from hybridqies.selfplay.ratings import OnMatch, play_round_robin, rate
from hybridqies.selfplay.search import Floats, evaluate_evenly
from hybridqies.selfplay.training import SelfPlayPlan, load_games, load_net, read_plan
from hybridqies.selfplay.value_ranks import (
    RankedStates,
    average_remaining,
    compare_losses,
    divide_ranks,
    excess_by_rank,
    predict_values,
    rank_states,
)

OnStage = Callable[[str, int], None]
OnStep = Callable[[int, int], None]
_TEST_SEED = 2**31


def hold_tournament(
    folder: Path,
    *,
    rounds: tuple[int, ...] = (),
    n_openings: int = 100,
    seed: int = 0,
    on_match: OnMatch | None = None,
) -> dict[str, Any]:
    """Ratings of the networks of a run after `rounds` (the last one by default), as JSON values.

    Two players without a network take part: one that moves at random, whose rating is 0, and the search
    alone, with equal priors and values of 0. All searches are as deep as in training.

    Raises
    ------
    InputError: a round beyond the last, or one that is given twice.
    ModelFolderError: a file of the run is missing or damaged.
    """
    plan = read_plan(folder)
    _check_rounds(rounds, plan)
    players: dict[str, Player] = {
        # Not of the seed of the openings alone, whose columns it would play again.
        "random": RandomPlayer([seed, 1]),
        "search alone": SearchPlayer(evaluate_evenly, plan.search),
    }
    about: list[dict[str, Any]] = [{"width": None, "round": None, "parameters": None} for _ in players]
    for width in plan.widths:
        for number in rounds or (plan.rounds,):
            net = load_net(folder, width, number)
            players[f"width {width}, round {number}"] = SearchPlayer(evaluate_with(net), plan.search)
            about.append({"width": width, "round": number, "parameters": count_parameters(width)})
    points = play_round_robin(players, n_openings=n_openings, seed=seed, on_match=on_match)
    ratings = rate(points)
    low, high = ratings.limits
    rows = [
        {"player": name, **row, "elo": float(ratings.elo[at]), "low": float(low[at]), "high": float(high[at])}
        for at, (name, row) in enumerate(zip(players, about, strict=True))
    ]
    return {
        "openings": n_openings,
        "seed": seed,
        "players": rows,
        "points": points.tolist(),
        "covariance": ratings.covariance.tolist(),
    }


def measure_value_ranks(
    folder: Path,
    *,
    n_games: int = 3000,
    first: int = 100,
    last: int = 10_000,
    late: int = 20,
    frequent: int = 1000,
    seed: int = 0,
    on_stage: OnStage | None = None,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Frequencies of states in training, and value losses by rank on new games, as JSON values.

    Each trained network plays `n_games` new games against itself. States of all these games are ranked
    together, and every network after every round is measured on them.

    Raises
    ------
    InputError: a range beyond the ranks there are.
    ModelFolderError: a file of the run is missing or damaged.
    """
    plan = read_plan(folder)
    tell_stage, tell = on_stage or _ignore_stage, on_step or _ignore_step
    # First, because a range beyond the ranks is refused here.
    fits = [_fit_width(folder, plan, width, first, last) for width in plan.widths]
    tell_stage("new games", len(plan.widths))
    parts = []
    for done, width in enumerate(plan.widths, 1):
        evaluate = evaluate_with(load_net(folder, width, plan.rounds))
        random = np.random.default_rng([_TEST_SEED, seed, width])
        parts.append(play_itself(evaluate, n_games, plan.search, random, sampled_moves=plan.sampled_moves))
        tell(done, len(plan.widths))
    positions = join_positions(parts)
    states = rank_states(positions)
    edges = divide_ranks(states.n_repeated)
    tell_stage("losses by rank", len(plan.widths) * (plan.rounds + 1))
    sizes, finals = [], []
    for at, width in enumerate(plan.widths):
        tell_width = _shift(tell, at * (plan.rounds + 1), len(plan.widths) * (plan.rounds + 1))
        sizes.append(fits[at] | _measure_width(folder, plan, width, states, edges, tell_width))
        finals.append(predict_values(evaluate_with(load_net(folder, width, plan.rounds)), states))
    small, large = int(np.argmin(plan.widths)), int(np.argmax(plan.widths))
    changes = compare_losses(
        positions, states, finals[small], finals[large], late=late, frequent=frequent, seed=seed
    )
    return {
        "plan": to_mapping(plan),
        "games": n_games * len(plan.widths),
        "positions": len(positions),
        "states": len(states.counts),
        "edges": edges,
        "sizes": sizes,
        "late": late,
        "frequent": frequent,
        "compared": [plan.widths[small], plan.widths[large]],
        "changes": [to_mapping(change) for change in changes],
    }


def _fit_width(folder: Path, plan: SelfPlayPlan, width: int, first: int, last: int) -> dict[str, Any]:
    """Rank and frequency of the states in all games of a training."""
    played = [load_games(folder, width, number).after for number in range(1, plan.rounds + 1)]
    counts = count_states(np.concatenate(played))
    return {
        "width": width,
        "parameters": count_parameters(width),
        "trained_states": len(counts),
        "fit": to_mapping(fit_zipf(counts, first=first, last=last, weights=Weights.RANK)),
    }


def _measure_width(
    folder: Path,
    plan: SelfPlayPlan,
    width: int,
    states: RankedStates,
    edges: list[int],
    tell: Callable[[int], None],
) -> dict[str, Any]:
    """The excess value loss after every round."""
    excess = []
    for number in range(plan.rounds + 1):
        values = predict_values(evaluate_with(load_net(folder, width, number)), states, edges[-1] - 1)
        excess.append(excess_by_rank(states, values, edges))
        tell(number + 1)
    along = np.stack(excess)
    return {"excess": along.tolist(), **_order(along)}


def _order(excess: Floats) -> dict[str, Any]:
    """What was left of the loss of each bin, and its rank correlation with the place of the bin."""
    from scipy import stats

    remaining = average_remaining(excess)
    ordered = (
        None if len(remaining) < 3 else float(stats.spearmanr(range(len(remaining)), remaining).statistic)
    )
    return {"remaining": remaining.tolist(), "spearman": ordered}


def _check_rounds(rounds: tuple[int, ...], plan: SelfPlayPlan) -> None:
    if any(not 0 <= number <= plan.rounds for number in rounds) or len(set(rounds)) < len(rounds):
        raise InputError(
            f"players after rounds {list(rounds)} were asked for",
            expected=f"rounds from 0 to {plan.rounds}, each once",
        )


def _shift(tell: OnStep, before: int, total: int) -> Callable[[int], None]:
    return lambda done: tell(before + done, total)


def _ignore_stage(_name: str, _total: int) -> None:
    pass


def _ignore_step(_done: int, _total: int) -> None:
    pass
