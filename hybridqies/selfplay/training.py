"""Learning from self-play: games, training on the latest of them, and again; each round is one file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import remove_leftovers
from hybridqies.options import from_mapping, to_mapping, within
from hybridqies.records import read_record, write_record
from hybridqies.selfplay.net import PolicyValueLoss, PolicyValueNet, evaluate_with, to_planes
from hybridqies.selfplay.players import Positions, join_positions, play_itself
from hybridqies.selfplay.search import SearchConfig
from hybridqies.tensors import load_state, load_tensors, save_tensors
from hybridqies.training import Batch, Rates, Schedule, SelectOn, TrainingConfig, fit
from hybridqies.training.rows import digest_tensor

PLAN = "selfplay.json"
_ROUND = re.compile(r"round-([0-9]{4,})\.safetensors")
_GAMES = "games."
_NET = "net."
OnRound = Callable[[int, dict[str, float]], None]
"""Called after each round with the width and the record of the round."""


@dataclass(frozen=True, slots=True)
class SelfPlayPlan:
    """Networks of `widths`, each of which learns from its own games.

    In each of `rounds` rounds a network plays `games` games, and is trained for `epochs` epochs on those of
    the last `window` rounds. The first `sampled_moves` moves of a game are drawn by the shares of visits.
    """

    widths: tuple[int, ...] = (16, 64, 256)
    rounds: int = 40
    games: int = 500
    search: SearchConfig = field(default_factory=SearchConfig)
    sampled_moves: int = 42
    window: int = 5
    epochs: int = 1
    batch_size: int = 256
    learning_rate: float = 0.002
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = dict.fromkeys(("rounds", "games", "window", "epochs", "batch_size"), (1, 1e6))
        within(self, "self-play option", **bounds, sampled_moves=(0, 42), seed=(0, 2**31 - 1))
        within(self, "self-play option", learning_rate=(1e-12, 100))
        if not self.widths or min(self.widths) < 1 or len(set(self.widths)) < len(self.widths):
            raise InputError(
                f"self-play was given widths {list(self.widths)}",
                expected="different whole numbers from 1 on",
            )


@dataclass(frozen=True)
class PositionRows:
    """Positions as rows: planes (B, 84), and as labels (B, 8) policies and results."""

    positions: Positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, rows: Tensor | slice, /) -> Batch:
        chosen = rows if isinstance(rows, slice) else rows.numpy()
        whole = self.positions
        labels = np.concatenate([whole.policies[chosen], whole.results[chosen, None]], axis=1)
        return Batch(to_planes(whole.own[chosen], whole.filled[chosen]), torch.from_numpy(labels))

    @cached_property
    def fingerprint(self) -> str:
        """A digest of every position."""
        return digest_tensor(self[slice(None)].labels) + digest_tensor(self[slice(None)].inputs)


def train_by_selfplay(
    plan: SelfPlayPlan, folder: Path, *, resume: bool = False, on_round: OnRound | None = None
) -> None:
    """Trains every network of the plan; a folder for each width has a file for each round.

    With `resume`, rounds whose files are there are not played again; the result is the same bit for bit.

    Raises
    ------
    InputError: the folder has a run already, or `resume` is given for another plan.
    ModelFolderError: a file of the run is damaged.
    """
    if resume:
        if read_plan(folder) != plan:
            raise InputError(f"{folder} holds another plan", expected="the plan that it was begun with")
    elif (folder / PLAN).exists():
        raise InputError(
            f"{folder} holds a run",
            expected="a new folder",
            todo="continue it with --resume, or choose another",
        )
    elif any(folder.glob("width-*/round-*.safetensors")):
        raise InputError(
            f"{folder} holds rounds of a run whose {PLAN} is missing",
            expected="a new folder",
            todo="restore that file, or choose another folder",
        )
    else:
        write_record(folder / PLAN, to_mapping(plan))
    for width in plan.widths:
        own = folder / f"width-{width}"
        own.mkdir(exist_ok=True)
        remove_leftovers(own)
        _train_width(plan, width, own, on_round)


def read_plan(folder: Path) -> SelfPlayPlan:
    """The plan of a run.

    Raises
    ------
    ModelFolderError: the folder has none, or it is damaged.
    """
    return from_mapping(SelfPlayPlan, read_record(folder / PLAN, what="plan of self-play"), what="plan")


def load_net(folder: Path, width: int, after: int) -> PolicyValueNet:
    """The network of that width after so many rounds; 0 is the untrained one.

    Raises
    ------
    ModelFolderError: the file is missing or damaged.
    """
    path = _path_of(folder / f"width-{width}", after)
    tensors, _ = load_tensors(path)
    net = PolicyValueNet(width, torch.Generator())
    load_state(net, {k.removeprefix(_NET): each for k, each in tensors.items() if k.startswith(_NET)}, path)
    return net.eval()


def load_games(folder: Path, width: int, number: int) -> Positions:
    """The games that the network of that width played in a round, counted from 1.

    Raises
    ------
    ModelFolderError: the file is missing or damaged.
    """
    tensors, _ = load_tensors(_path_of(folder / f"width-{width}", number))
    arrays = {k.removeprefix(_GAMES): each.numpy() for k, each in tensors.items() if k.startswith(_GAMES)}
    own, filled, after = (arrays[name].view(np.uint64) for name in ("own", "filled", "after"))
    return Positions(own, filled, after, arrays["policies"], arrays["results"], arrays["games"])


def read_rounds(folder: Path, width: int) -> list[dict[str, Any]]:
    """The records of a network's rounds, the first of which is round 1.

    Raises
    ------
    ModelFolderError: the run has not ended, or a file is damaged.
    """
    numbers = range(1, read_plan(folder).rounds + 1)
    return [load_tensors(_path_of(folder / f"width-{width}", number))[1] for number in numbers]


def _train_width(plan: SelfPlayPlan, width: int, folder: Path, on_round: OnRound | None) -> None:
    begun = _count_rounds(folder)
    if begun is None:
        net = PolicyValueNet(width, torch.Generator().manual_seed(plan.seed))
        _save(folder, 0, net, None, {})
        begun = 0
    net = load_net(folder.parent, width, begun)
    first = max(1, begun + 1 - plan.window)
    latest = [load_games(folder.parent, width, number) for number in range(first, begun + 1)]
    for number in range(begun + 1, plan.rounds + 1):
        random = np.random.default_rng([plan.seed, width, number])
        net.eval()
        games = play_itself(
            evaluate_with(net), plan.games, plan.search, random, sampled_moves=plan.sampled_moves
        )
        latest = [*latest, games][-plan.window :]
        record = _learn(plan, net, games, latest, number)
        _save(folder, number, net, games, record)
        if on_round is not None:
            on_round(width, record)


def _learn(
    plan: SelfPlayPlan, net: PolicyValueNet, games: Positions, latest: list[Positions], number: int
) -> dict[str, float]:
    """Trains on the latest games; the record has the losses on the new ones from before."""
    measured = PolicyValueLoss().measure(net, PositionRows(games), plan.batch_size)
    config = TrainingConfig(
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        rates=Rates(readout=None, encoder=None),
        schedule=Schedule.CONSTANT,
        select_on=SelectOn.LAST,
        seed=(plan.seed * 1_000_003 + number) % 2**32,
    )
    fit(net, PositionRows(join_positions(latest)), None, PolicyValueLoss(), config)
    return {"round": number, "moves": len(games) / plan.games, **measured.to_mapping()}


def _save(
    folder: Path, number: int, net: PolicyValueNet, games: Positions | None, record: dict[str, float]
) -> None:
    tensors = {f"{_NET}{name}": value for name, value in net.state_dict().items()}
    if games is not None:
        # As signed numbers: 49 bits are in use.
        boards = {name: getattr(games, name).view(np.int64) for name in ("own", "filled", "after")}
        others = {name: getattr(games, name) for name in ("policies", "results", "games")}
        tensors |= {f"{_GAMES}{name}": torch.from_numpy(each) for name, each in (boards | others).items()}
    save_tensors(_path_of(folder, number), tensors, record)


def _count_rounds(folder: Path) -> int | None:
    """The last round whose file is there; None where not even the untrained network is."""
    found = (_ROUND.fullmatch(path.name) for path in folder.iterdir())
    numbers = sorted(int(match[1]) for match in found if match is not None)
    if numbers != list(range(len(numbers))):
        raise ModelFolderError(f"{folder} lacks a round", expected="every round up to the last")
    return numbers[-1] if numbers else None


def _path_of(folder: Path, number: int) -> Path:
    return folder / f"round-{number:04d}.safetensors"
