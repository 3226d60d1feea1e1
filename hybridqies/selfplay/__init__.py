"""Learning Connect Four by self-play: search, network, ratings, and losses by the rank of states."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.selfplay.net import PolicyValueLoss, PolicyValueNet, count_parameters, evaluate_with
    from hybridqies.selfplay.players import (
        Player,
        Positions,
        RandomPlayer,
        SearchPlayer,
        draw_openings,
        play_itself,
        play_match,
    )
    from hybridqies.selfplay.ratings import Ratings, play_round_robin, rate
    from hybridqies.selfplay.search import Evaluate, SearchConfig, count_visits, evaluate_evenly
    from hybridqies.selfplay.study import hold_tournament, measure_value_ranks
    from hybridqies.selfplay.training import (
        SelfPlayPlan,
        load_games,
        load_net,
        read_plan,
        read_rounds,
        train_by_selfplay,
    )
    from hybridqies.selfplay.value_ranks import (
        LossChange,
        RankedStates,
        compare_losses,
        excess_by_rank,
        predict_values,
        rank_states,
    )

__all__ = [
    "Evaluate",
    "LossChange",
    "Player",
    "PolicyValueLoss",
    "PolicyValueNet",
    "Positions",
    "RandomPlayer",
    "RankedStates",
    "Ratings",
    "SearchConfig",
    "SearchPlayer",
    "SelfPlayPlan",
    "compare_losses",
    "count_parameters",
    "count_visits",
    "draw_openings",
    "evaluate_evenly",
    "evaluate_with",
    "excess_by_rank",
    "hold_tournament",
    "load_games",
    "load_net",
    "measure_value_ranks",
    "play_itself",
    "play_match",
    "play_round_robin",
    "predict_values",
    "rank_states",
    "rate",
    "read_plan",
    "read_rounds",
    "train_by_selfplay",
]

__getattr__, __dir__ = import_lazily(
    __name__,
    __all__,
    ("search", "players", "ratings", "value_ranks", "net", "training", "study"),
)
