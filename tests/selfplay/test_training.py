"""Learning by self-play: the network, rounds as files, and runs that go on bit for bit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.ranks.connect_four import drop
from hybridqies.selfplay import (
    Player,
    PolicyValueLoss,
    PolicyValueNet,
    SearchConfig,
    SearchPlayer,
    SelfPlayPlan,
    count_parameters,
    draw_openings,
    evaluate_evenly,
    evaluate_with,
    hold_tournament,
    load_games,
    load_net,
    play_itself,
    play_match,
    read_rounds,
    train_by_selfplay,
)
from hybridqies.selfplay.training import PositionRows
from hybridqies.training import Batch

PLAN = SelfPlayPlan(widths=(4, 6), rounds=4, games=3, search=SearchConfig(2), window=2, batch_size=32)


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("selfplay")
    train_by_selfplay(PLAN, folder)
    return folder


class TestNet:
    @pytest.mark.parametrize("width", [1, 16, 33])
    def test_parameters_follow_the_formula(self, width: int) -> None:
        net = PolicyValueNet(width, torch.Generator())
        assert sum(each.numel() for each in net.parameters()) == count_parameters(width)

    def test_full_columns_get_no_prior(self) -> None:
        net = PolicyValueNet(8, torch.Generator().manual_seed(0))
        filled = np.array([0b111111 << 14], dtype=np.uint64)
        priors, values = evaluate_with(net)(filled & np.uint64(0b010101 << 14), filled)
        assert priors[0, 2] == 0
        assert priors.sum() == pytest.approx(1)
        assert np.abs(values) < 1

    def test_both_players_are_seen(self) -> None:
        """The first plane is that of the player to move: squares in columns of six."""
        own, filled = np.array([1 << 7], dtype=np.uint64), np.array([1 << 7 | 1 << 8], dtype=np.uint64)
        positions = play_itself(evaluate_evenly, 1, SearchConfig(2), np.random.default_rng(0))
        rows = PositionRows(positions)
        assert rows[torch.tensor([0])].inputs.sum() == 0
        from hybridqies.selfplay.net import to_planes

        assert torch.nonzero(to_planes(own, filled)[0]).flatten().tolist() == [6, 42 + 7]

    def test_loss_is_that_of_policy_and_value(self) -> None:
        class Fixed(torch.nn.Module):
            def forward(self, planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                return torch.zeros(len(planes), 7), torch.full((len(planes),), 0.5)

        labels = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 1], [0, 0.5, 0.5, 0, 0, 0, 0, -1]])
        batch = Batch(torch.zeros(2, 84), labels)
        assert float(PolicyValueLoss().loss(Fixed(), batch)) == pytest.approx(math.log(7) + 1.25)


def test_rounds_are_recorded_and_games_are_kept(run: Path) -> None:
    for width in PLAN.widths:
        rounds = read_rounds(run, width)
        assert [each["round"] for each in rounds] == [1, 2, 3, 4]
        games = load_games(run, width, 3)
        assert rounds[2]["moves"] == len(games) / PLAN.games
        measured = PolicyValueLoss().measure(load_net(run, width, 2), PositionRows(games), 1000)
        assert rounds[2]["value_loss"] == pytest.approx(measured.value, rel=1e-5)
        assert rounds[2]["policy_loss"] == pytest.approx(measured.policy, rel=1e-5)


@pytest.mark.parametrize("left", [(0, None), (1, None), (5, 0), (5, 3)])
def test_runs_go_on_to_the_same_files(run: Path, tmp_path: Path, left: tuple[int, int | None]) -> None:
    """So many files of the first width are there, and of the second those up to a round."""
    whole = content_of(run)
    n_first, last = left
    for name, content in whole.items():
        width, _, file = name.partition("/")
        number = int(file[6:10]) if file else -1
        if not file or (number < n_first if width == "width-4" else last is not None and number <= last):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
    told: list[int] = []
    train_by_selfplay(PLAN, tmp_path, resume=True, on_round=lambda width, _: told.append(width))
    assert content_of(tmp_path) == whole
    n_second = 4 if last is None else 4 - last
    assert told == [4] * min(4, 5 - n_first) + [6] * n_second


def test_folders_are_checked(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a run"):
        train_by_selfplay(PLAN, run)
    with pytest.raises(InputError, match="another plan"):
        train_by_selfplay(SelfPlayPlan(), run, resume=True)
    with pytest.raises(ModelFolderError):
        train_by_selfplay(PLAN, tmp_path, resume=True)
    copied = content_of(run)
    for name in ("selfplay.json", "width-4/round-0000.safetensors", "width-4/round-0002.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(copied[name])
    with pytest.raises(ModelFolderError, match="lacks a round"):
        train_by_selfplay(PLAN, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widths": ()}, "different whole numbers"),
        ({"widths": (4, 4)}, "different whole numbers"),
        ({"rounds": 0}, "'rounds' was given 0"),
        ({"sampled_moves": 43}, "0 to 42"),
    ],
)
def test_bad_plans(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SelfPlayPlan(**options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_learning_beats_the_search_alone(tmp_path: Path) -> None:
    train_by_selfplay(SelfPlayPlan(widths=(64,), rounds=25, games=300), tmp_path)
    learnt = SearchPlayer(evaluate_with(load_net(tmp_path, 64, 25)), SearchConfig())
    alone = SearchPlayer(evaluate_evenly, SearchConfig())
    openings = draw_openings(100, 4, seed=0)
    score = (play_match(learnt, alone, *openings).mean() - play_match(alone, learnt, *openings).mean()) / 2
    assert score > 0.3


def test_other_files_are_no_rounds_and_rounds_without_a_plan_are_nobodys(run: Path, tmp_path: Path) -> None:
    for path in run.rglob("*.*"):
        target = tmp_path / path.relative_to(run)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    (tmp_path / "width-4" / "round-0004 copy.safetensors").write_bytes(b"mine")
    train_by_selfplay(PLAN, tmp_path, resume=True)
    (tmp_path / "selfplay.json").unlink()
    with pytest.raises(InputError, match=r"rounds of a run whose selfplay\.json is missing"):
        train_by_selfplay(PLAN, tmp_path)


def test_a_round_takes_part_once(run: Path) -> None:
    with pytest.raises(InputError, match="each once"):
        hold_tournament(run, rounds=(1, 1), n_openings=1)


def test_the_random_player_does_not_play_the_openings_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Player] = {}

    def stop(players: dict[str, Player], **_: object) -> None:
        seen.update(players)
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridqies.selfplay.study.play_round_robin", stop)
    with pytest.raises(KeyboardInterrupt):
        hold_tournament(run, seed=3)
    empty = np.zeros(100, dtype=np.uint64)
    _, opened = draw_openings(100, 1, 3)
    _, moved = drop(empty, empty, seen["random"].choose(empty, empty))
    # By chance one in seven is the same column.
    assert np.mean(opened == moved) < 0.4
