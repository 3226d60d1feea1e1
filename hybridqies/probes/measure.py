"""Decoders of several arms and sizes trained on probes, and how often they are right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.lm import Decoder, config_of_arm, count_parameters, read_size
from hybridqies.options import within
from hybridqies.probes.tasks import LENGTH, Probe, make_probe
from hybridqies.training import Batch, Measurement, TrainingConfig, fit
from hybridqies.training.numerics import device_of, seed_of_epoch
from hybridqies.training.prediction import evaluating

_IGNORED = -100
_PARTS = 10
_AT_ONCE = 256
# Trainings of the first 4,000 seeds draw from smaller ones. torch reads the lowest 32 bits of a seed alone.
_HELD_OUT = 2**32 - 1


OnStep = Callable[[int, int], None]
"""Called with how many steps of a training are done and how many there are."""


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """Probes, arms, sizes in parameters and the number of seeds; how each decoder is trained and measured.

    A decoder is trained from nothing on one probe, since no text teaches these tokens. Each step takes
    `batch_size` new sequences. `sequences` more are measured on.

    Raises
    ------
    InputError: a value out of its range, an unknown name, or a size that a probe does not fit into.
    """

    probes: tuple[str, ...]
    arms: tuple[str, ...] = ("real", "tap", "entangled")
    sizes: tuple[str, ...] = ("16k", "65k")
    seeds: int = 1
    steps: int = 500
    batch_size: int = 32
    learning_rate: float = 0.005
    sequences: int = 1000

    def __post_init__(self) -> None:
        within(self, "probe option", seeds=(1, 1e6), steps=(_PARTS, 1e9), batch_size=(1, 1e6))
        within(self, "probe option", sequences=(1, 1e8), learning_rate=(1e-12, 100.0))
        for name, values in (("probes", self.probes), ("arms", self.arms), ("sizes", self.sizes)):
            if not values or len(set(values)) < len(values):
                raise InputError(f"{name} were given as {list(values)}", expected="at least one, each once")
        probes = [make_probe(name) for name in self.probes]
        if len({probe.name for probe in probes}) < len(probes):
            raise InputError(f"probes were given as {list(self.probes)}", expected="each once")
        for probe in probes:
            for arm in self.arms:
                for size in self.sizes:
                    config_of_arm(arm, read_size(size), probe.vocabulary, LENGTH)

    def cells(self) -> list[dict[str, Any]]:
        """What is trained, one mapping each."""
        return [
            {"probe": probe, "arm": arm, "size": size, "seed": seed}
            for probe in self.probes
            for size in self.sizes
            for arm in self.arms
            for seed in range(self.seeds)
        ]


@dataclass(frozen=True)
class _Sequences:
    """Rows of a probe; each epoch has others."""

    probe: Probe
    count: int
    seed: int
    epoch: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Tensor | slice, /) -> Batch:
        ids, labels = self._drawn
        return Batch(ids[rows], labels[rows])

    def of_epoch(self, epoch: int) -> _Sequences:
        """Those of an epoch, counted from 0."""
        return _Sequences(self.probe, self.count, self.seed, epoch)

    @property
    def fingerprint(self) -> str:
        """What they are drawn from."""
        return f"{self.probe.name} {self.count} {self.seed}"

    @property
    def _drawn(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed_of_epoch(self.seed, self.epoch))
        ids, scored = self.probe.draw(self.count, generator)
        return ids, ids.masked_fill(~scored, _IGNORED)


@dataclass(frozen=True)
class _Scored:
    """Cross-entropy of the tokens that follow by the rule."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean over these tokens."""
        logits = model(batch.inputs)[:, :-1]
        return nn.functional.cross_entropy(logits.mT, batch.labels[:, 1:], ignore_index=_IGNORED)

    def weight(self, batch: Batch) -> float:
        """The number of these tokens."""
        return float((batch.labels[:, 1:] != _IGNORED).sum())

    def measure(self, model: nn.Module, rows: _Sequences, batch_size: int) -> Measurement:
        """There is no validation in training."""
        raise NotImplementedError

    def describe(self) -> Mapping[str, Any]:
        """There is nothing to choose."""
        return {"objective": "scored tokens"}


def run_cell(
    plan: ProbePlan, cell: Mapping[str, Any], on_step: OnStep | None = None, device: str = "cpu"
) -> dict[str, Any]:
    """Trains one decoder and measures it; a row as JSON values.

    Sequences count alike. The interval is Wilson's with as many trials as sequences, which is wide enough
    however much the tokens of one sequence depend on each other.
    """
    probe, seed = make_probe(cell["probe"]), int(cell["seed"])
    config = config_of_arm(cell["arm"], read_size(cell["size"]), probe.vocabulary, LENGTH)
    model = Decoder(config, seed).to(device)
    rows = _Sequences(probe, plan.batch_size * math.ceil(plan.steps / _PARTS), seed)
    training = TrainingConfig(
        epochs=_PARTS,
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        warmup=0.1,
        clip_norm=1.0,
        seed=seed,
    )
    outcome = fit(model, rows, None, _Scored(), training, on_step=on_step)
    accuracy = measure_probe(model, probe, plan.sequences)
    low, high = wilson(accuracy, plan.sequences)
    return {
        **cell,
        "chance": probe.chance,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "loss": outcome.history[-1]["train_loss"],
        "n_parameters": count_parameters(config),
        "seconds": round(outcome.seconds, 3),
    }


def measure_probe(model: nn.Module, probe: Probe, count: int, seed: int = 0) -> float:
    """The mean over sequences of the share of scored tokens that the model answers rightly."""
    ids, scored = draw_held_out(probe, count, seed)
    shares = []
    device = device_of(model)
    with evaluating(model):
        for part, counted in zip(ids.split(_AT_ONCE), scored[:, 1:].split(_AT_ONCE), strict=True):
            answers = probe.first + model(part.to(device))[:, :-1, probe.first :].argmax(-1).cpu()
            right = (answers == part[:, 1:]) & counted
            shares.append(right.sum(1) / counted.sum(1).clamp(min=1))
    return float(torch.cat(shares).double().mean())


def draw_held_out(probe: Probe, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Sequences (N, T) that no training draws, and which of their tokens are scored (N, T)."""
    return probe.draw(count, torch.Generator().manual_seed(_HELD_OUT - seed))


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` trials (Wilson, 1927)."""
    from scipy import stats

    z = float(stats.norm.ppf(0.975))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    # An end is exact where rounding would put it on the wrong side of the share itself.
    return 0.0 if share == 0 else max(0.0, centre - half), 1.0 if share == 1 else min(1.0, centre + half)


def run_probes(
    plan: ProbePlan,
    rows: Sequence[Mapping[str, Any]] = (),
    *,
    on_row: Callable[[list[dict[str, Any]]], None] | None = None,
    on_cell: Callable[[str, int], None] | None = None,
    on_step: OnStep | None = None,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """One row for each probe, arm, size and seed, those that are in `rows` already taken from there.

    `on_row` is called with all rows after each new one, `on_cell` with the name and steps of each training.
    """
    known = {tuple(row[key] for key in ("probe", "arm", "size", "seed")): dict(row) for row in rows}
    found: list[dict[str, Any]] = []
    for cell in plan.cells():
        key = tuple(cell.values())
        if key not in known:
            if on_cell is not None:
                on_cell(f"{cell['probe']}, {cell['arm']} {cell['size']}", plan.steps)
            known[key] = run_cell(plan, cell, on_step, device)
            if on_row is not None:
                on_row([*found, known[key]])
        found.append(known[key])
    return found
